"""What the verbs about tokens do."""

from argparse import Namespace

import structlog

from deploy.command import store, tables
from deploy.command.reach import connected
from shared.ids import parse_workspace_id
from shared.settings import Settings
from shared.tokens import MOST_ACTIVE, RESET_LASTS_S, issue_token, list_tokens, reset_tokens, revoke_token

log = structlog.get_logger()


async def issue(options: Namespace, settings: Settings) -> None:
    workspace_id = parse_workspace_id(options.id)
    async with connected(settings) as connection:
        issued = await issue_token(connection, workspace_id)
    log.info("token.issued", workspace_id=str(workspace_id), token_prefix=issued.prefix)
    if options.json:
        tables.print_json({"auth_token": issued.token, "workspace_id": workspace_id, "id": issued.id})
    else:
        print(issued.token)  # noqa: T201


async def show(options: Namespace, settings: Settings) -> None:
    async with connected(settings) as connection:
        rows = await list_tokens(connection, parse_workspace_id(options.id), limit=MOST_ACTIVE, offset=0)
    if options.json:
        tables.print_json(rows)
    else:
        tables.console().print(tables.tokens(rows))


async def revoke(options: Namespace, settings: Settings) -> None:
    workspace_id, token_id = parse_workspace_id(options.id), parse_workspace_id(options.token_id)
    async with connected(settings) as connection:
        prefix = await revoke_token(connection, workspace_id, token_id)
    if prefix is None:
        raise store.Refused("token not found or already revoked")
    log.info("token.revoked", workspace_id=str(workspace_id), token_prefix=prefix)
    if options.json:
        tables.print_json({"status": "revoked", "workspace_id": workspace_id, "id": token_id})
    else:
        print(f"revoked {prefix}")  # noqa: T201


async def reset(options: Namespace, settings: Settings) -> None:
    """Every token is revoked, and one register passes without, if it comes soon."""
    workspace_id = parse_workspace_id(options.id)
    async with connected(settings) as connection:
        prefixes = await reset_tokens(connection, workspace_id)
    for prefix in prefixes:
        log.info("token.revoked", workspace_id=str(workspace_id), token_prefix=prefix)
    log.info("token.reset", workspace_id=str(workspace_id))
    if options.json:
        tables.print_json(
            {
                "status": "reset",
                "workspace_id": workspace_id,
                "revoked": len(prefixes),
                "register_within_s": RESET_LASTS_S,
            }
        )
    else:
        minutes = RESET_LASTS_S // 60
        print(f"revoked {len(prefixes)}; one register may come without a token, within {minutes} minutes")  # noqa: T201
