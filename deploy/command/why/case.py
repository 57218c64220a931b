"""What is known of a workspace at this moment, put together: its row, its container, and who watches it."""

import math
from dataclasses import dataclass
from typing import Literal

from deploy.command.pulse import Pulse
from deploy.command.why.store import Facts
from shared.errors import EngineError
from shared.running import NotRunning, Running, StateEngine, container_state
from shared.settings import Settings
from shared.transitions import CONTAINER_REASONS
from sweeper.sweep import HEALED_BY_CONTAINER

Kind = Literal["container", "external", "unswept", "elsewhere", "unreadable"]
Look = Running | NotRunning | EngineError
"""The three outcomes as one value; each is told in words of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """See the module. `look` is None where there is no container here to look at.

    `engine_answers` is whether Docker answers at all, where it could not tell about this one.
    """

    facts: Facts
    settings: Settings
    look: Look | None
    engine_answers: bool
    pulse: Pulse

    @property
    def kind(self) -> Kind:
        """Who watches it: the sweeper by its container, the sweeper by its heartbeats, or nobody here."""
        return kind_of(self.facts, self.settings)

    @property
    def healed_by_container(self) -> bool:
        """Whether a running container takes it from offline to online: sweeper/sweep.py."""
        observation = self.facts.observation
        return (
            self.kind == "container" and observation is not None and observation.reason in HEALED_BY_CONTAINER
        )

    @property
    def healed_by_heartbeat(self) -> bool:
        """Whether a heartbeat takes it from offline to online: api/store/heartbeat_sql.py."""
        observation = self.facts.observation
        was_seen_dead = (
            observation is not None
            and observation.from_status is not None
            and observation.reason in CONTAINER_REASONS
        )
        return not was_seen_dead

    @property
    def is_silent(self) -> bool:
        """Whether its agent could have been heard for the stale window, and was not."""
        silent_s = self.facts.silent_s
        return (
            silent_s is not None
            and math.isfinite(silent_s)
            and silent_s > self.settings.remote_liveness_stale_after
        )

    def within_s(self, grace_s: float) -> int:
        """In how many seconds at most a sweep has seen a change and waited for its grace."""
        settings = self.settings
        return math.ceil(settings.sweep_interval + grace_s + settings.engine_timeout)


def kind_of(facts: Facts, settings: Settings) -> Kind:
    """`unreadable`: our role may not read its runtime, so nobody knows whether it has a container here."""
    if facts.elsewhere:
        return "elsewhere"
    if facts.runtime is None:
        return "unreadable"
    if facts.runtime in settings.unswept_runtimes:
        return "unswept"
    return "external" if facts.runtime in settings.external_runtimes else "container"


async def look_at(engine: StateEngine, facts: Facts) -> Look:
    """The container, seen through the one shared function."""
    try:
        return await container_state(engine, facts.id, short_name_is_unique=facts.short_name_is_unique)
    except EngineError as unknown:
        return unknown
