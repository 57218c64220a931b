"""Where the handbook explains what a person sees: `why`, `triage` and `doctor` point into it."""

import os
from enum import StrEnum
from pathlib import Path

_TROUBLESHOOTING = Path("docs") / "handbook" / "troubleshooting.md"


class Entry(StrEnum):
    """An entry of the troubleshooting page, by the anchor of its heading."""

    PLUGIN_INSTALL_503 = (
        "plugin-install-returns-503-workspace-container-not-running-but-the-workspace-shows-online"
    )
    EXTERNAL_WORKSPACE = "the-workspace-is-external"
    CONTAINER_STOPPED = "the-container-stopped-just-now"
    ENGINE_COULD_NOT_ANSWER = "docker-could-not-answer"
    RUNTIME_NOT_LOOKED_UP = "external-but-the-runtime-could-not-be-looked-up"
    ENGINE_AWAY = "docker-is-away"
    STATE_UNKNOWN = "one-container-cannot-be-asked"
    CONTAINER_DIED = "a-workspace-is-offline-because-its-container-is"
    CRASH_LOOP = "a-workspace-crash-loops"
    HEARTBEATS_STALE = "an-external-workspace-is-offline"
    DEGRADED = "a-workspace-is-degraded"
    AGENT_DEAD_INSIDE = "online-but-the-agent-does-not-answer"
    SWEEP_HELD = "nothing-is-marked-offline-sweepheld"
    SWEEPER_STOPPED = "the-sweeper-does-not-sweep"
    SWEEPS_SLOW = "sweeps-take-too-long"
    DATABASE_AWAY = "postgresql-is-away"
    SCHEMA = "the-schema-does-not-fit"
    SETTINGS = "a-service-does-not-start-exit-status-78"
    AUTH_REJECTED = "requests-get-401"
    RATE_LIMITED = "requests-get-429"
    INSTALL_FAILED = "a-plugin-install-fails"
    OTHER_WRITER = "another-program-writes-the-status"
    NOT_WATCHED = "a-workspace-that-is-not-watched"
    BUG = "a-bug-requestfailed-sweepfailed-processcrashed"


def where(entry: Entry) -> str:
    """The path of the entry on this machine, with its anchor."""
    # An installed version has docs/ beside its packages as a checkout has.
    page = Path(__file__).resolve().parent.parent / _TROUBLESHOOTING
    return f"{os.fspath(page)}#{entry}"
