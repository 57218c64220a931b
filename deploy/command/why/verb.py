"""What `healthsweep why WORKSPACE` does: find it, look, answer."""

import asyncio
from argparse import Namespace

from deploy.command import tables
from deploy.command.pulse import feel
from deploy.command.reach import connected
from deploy.command.store import Refused
from deploy.command.why.answer import document, lines
from deploy.command.why.case import Case, kind_of, look_at
from deploy.command.why.store import Facts, Match, find, read_facts
from shared.engine import Engine
from shared.errors import EngineError, WorkspaceMissing
from shared.settings import Settings

_MOST_LISTED = 20


async def why(options: Namespace, settings: Settings) -> None:
    """Answer about the one workspace that is meant. Raises WorkspaceMissing, and Refused for several."""
    async with connected(settings) as connection:
        (match,) = _one(options.workspace, await find(connection, options.workspace))
        facts = await read_facts(connection, match.id)
    if facts is None:
        raise WorkspaceMissing(f"the workspace {match.id} was deleted at this moment")
    case = await _look(facts, settings)
    if options.json:
        tables.print_json(document(case))
    else:
        tables.print_pairs(lines(case))


def _one(words: str, matches: list[Match]) -> list[Match]:
    if not matches:
        raise WorkspaceMissing(f"there is no workspace whose id or name begins with {words!r}")
    if len(matches) > 1:
        listed = [f"\n  {each.id}  {each.status}  {each.name or ''}" for each in matches[:_MOST_LISTED]]
        more = f"\n  and {len(matches) - _MOST_LISTED} more" if len(matches) > _MOST_LISTED else ""
        raise Refused(f"{words!r} can be {len(matches)} workspaces:{''.join(listed)}{more}")
    return matches


async def _look(facts: Facts, settings: Settings) -> Case:
    """Docker and the sweeper are asked side by side: each may keep us waiting."""
    has_container = kind_of(facts, settings) not in ("external", "elsewhere")
    async with Engine(settings.docker_host, timeout=settings.engine_timeout) as engine:
        looking = asyncio.create_task(look_at(engine, facts)) if has_container else None
        pulse = await feel(settings)
        look = await looking if looking else None
        answers = await _answers(engine) if isinstance(look, EngineError) else True
    return Case(facts=facts, settings=settings, look=look, engine_answers=answers, pulse=pulse)


async def _answers(engine: Engine) -> bool:
    """Whether Docker answers at all."""
    try:
        await engine.ping()
    except EngineError:
        return False
    return True
