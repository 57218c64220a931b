"""Roles of a database that may less than its owner: each lives from entering to leaving."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from tests.support.postgres import connected


@asynccontextmanager
async def role(url: str) -> AsyncIterator[str]:
    """The url of a role of its own, which may do in this database what the api has to."""
    name = f"role_{secrets.token_hex(4)}"
    async with connected(url) as owner:
        await owner.execute(f"CREATE ROLE {name} LOGIN")
        for schema in ("public", "healthsweep"):
            await owner.execute(
                f"GRANT USAGE ON SCHEMA {schema} TO {name};"
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}"
            )
    parts = urlsplit(url)
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}"))
    finally:
        async with connected(url) as owner:
            await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@asynccontextmanager
async def blind_to_the_runtime(url: str) -> AsyncIterator[str]:
    """The url of a role that may read every column of the workspaces but `runtime`."""
    async with role(url) as other:
        name = urlsplit(other).username
        async with connected(url) as owner:
            columns = await owner.fetchval(
                "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attnum > 0"
                " AND attrelid = 'public.workspaces'::regclass AND attname <> 'runtime'"
            )
            await owner.execute(
                f"REVOKE SELECT ON public.workspaces FROM {name};"
                f"GRANT SELECT ({columns}) ON public.workspaces TO {name}"
            )
        yield other
