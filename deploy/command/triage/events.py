"""What each event adds to the facts."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from deploy.command.triage.facts import Edge, Facts, Sweep, raise_to
from deploy.command.triage.lines import Line, number, word

Keys = Mapping[str, Any]
Handler = Callable[[Facts, float, Keys], None]

_REFUSED, _FAILED = 400, 500  # HTTP
_ENDED_HERE = re.compile(r"healthsweep: (sweeper|api) (?:was ended by|ended with) ([\w ]{1,20}):")
_ENDED_BY_SYSTEMD = re.compile(r"healthsweep-(sweeper|api)\.service: (.{1,200})")
_SYSTEMD_SAYS = {
    "watchdog": re.compile(r"Watchdog timeout"),
    "out of memory": re.compile(r"killed by the OOM killer"),
    "SIG": re.compile(r"Main process exited, code=(?:killed|dumped), status=\d+/(\w{1,10})"),
    "status ": re.compile(r"Main process exited, code=exited, status=(\d{1,3})"),
}
_CODES = ("code", "reason", "why", "step", "variable", "status", "logger")
"""The first of these that a line has tells lines of one event apart."""


def count(facts: Facts, line: Line) -> None:
    """Add a line of ours."""
    at, event, keys = line
    process = keys["process"]
    facts.lines += 1
    first, last = facts.spoke.get(process, (at, at))
    facts.spoke[process] = (min(first, at), max(last, at))
    if (handle := _HANDLERS.get(event)) is not None:
        handle(facts, at, keys)
    asks = keys.get("level") not in ("info", "debug")
    if asks or (event == "request.completed" and number(keys, "status") >= _REFUSED):
        facts.sample(line, next((word(keys, name) for name in _CODES if keys.get(name) is not None), ""))


def hear(facts: Facts, text: str) -> None:
    """Add a line of text: `deploy/run` and systemd say how a process ended."""
    facts.skipped["plain"] += 1
    if found := _ENDED_HERE.match(text):
        facts.ends[found[1], found[2]] += 1
    elif found := _ENDED_BY_SYSTEMD.match(text):
        for how, pattern in _SYSTEMD_SAYS.items():
            if said := pattern.search(found[2]):
                facts.ends[found[1], f"{how}{said[1]}" if said.groups() else how] += 1


def _edge(kind: str) -> Handler:
    def handle(facts: Facts, at: float, keys: Keys) -> None:
        facts.edges[kind].add(Edge(at, keys["process"], keys["event"], keys))

    return handle


def _trouble(kind: str, *details: str) -> Handler:
    def handle(facts: Facts, at: float, keys: Keys) -> None:
        detail = " ".join(filter(None, (word(keys, name) for name in details)))
        facts.troubles[kind, detail].add(at)

    return handle


def _started(facts: Facts, at: float, keys: Keys) -> None:
    settings = keys.get("settings")
    if isinstance(settings, Mapping):
        facts.sweep_interval_s = max(facts.sweep_interval_s, number(settings, "SWEEP_INTERVAL"))
    facts.edges["life"].add(Edge(at, keys["process"], "process.started", {}))
    facts.lanes.at(at)["starts"] += 1


def _swept(facts: Facts, at: float, keys: Keys) -> None:
    duration_ms, list_ms = number(keys, "duration_ms"), number(keys, "list_ms")
    facts.sweeps.add(at)
    listed = number(keys, "running") + number(keys, "not_running") > 0
    raise_to(facts.sweeps_when.at(at), {"all": duration_ms, "list": list_ms, "listed": listed})
    sweep = Sweep(
        duration_ms,
        at,
        list_ms,
        int(number(keys, "checked")),
        int(number(keys, "inspects")),
        word(keys, "sweep_id"),
    )
    facts.slowest.add(sweep)


def _marked(to: str) -> Handler:
    def handle(facts: Facts, at: float, keys: Keys) -> None:
        workspace = facts.workspace(keys.get("workspace_id"))
        if workspace is None:
            return
        reason = word(keys, "reason")
        workspace.states.add(at, to, f"{to} {reason}", *_exit(keys), state=to)
        facts.lanes.at(at)[to] += 1
        if to == "offline" and reason != "heartbeat_stale":
            facts.marks.at(at)["marked"] += 1

    return handle


def _would_mark(facts: Facts, at: float, keys: Keys) -> None:
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        to, reason = word(keys, "to"), word(keys, "reason")
        workspace.states.add(at, "would", to, f"{to} {reason}", *_exit(keys), state=to)
        facts.lanes.at(at)["would"] += 1


def _exit(keys: Keys) -> list[str]:
    return [f"exit {int(number(keys, 'exit_code'))}"] if keys.get("exit_code") is not None else []


def _lookup_failed(facts: Facts, at: float, keys: Keys) -> None:
    facts.troubles["lookup_failed", ""].add(at)
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        workspace.states.add(at, "let through")


def _not_running(facts: Facts, at: float, keys: Keys) -> None:
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        workspace.states.add(at, f"seen {word(keys, 'state')}", *_exit(keys))


def _unanswered(facts: Facts, at: float, keys: Keys) -> None:
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        soft = ["soft"] if keys.get("answer") == "soft_list" else []
        workspace.unanswered.add(at, f"reason {word(keys, 'reason')}", *soft)
        facts.lanes.at(at)["unanswered"] += 1


def _answered(facts: Facts, at: float, keys: Keys) -> None:
    lane = facts.lanes.at(at)
    lane["requests"] += 1
    if number(keys, "status") >= _FAILED:
        lane["failed"] += 1
    if (handle := _ANSWERS.get(word(keys, "code"))) is not None:
        handle(facts, at, keys)


def _refused_by_container(facts: Facts, at: float, keys: Keys) -> None:
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        workspace.states.add(at, "503")


def _refused_by_engine(facts: Facts, at: float, keys: Keys) -> None:
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        workspace.unanswered.add(at, "503")


def _refused_as_external(facts: Facts, at: float, keys: Keys) -> None:
    facts.lanes.at(at)["external"] += 1
    if (workspace := facts.workspace(keys.get("workspace_id"))) is not None:
        workspace.external.add(at)


def _refused_by_database(facts: Facts, at: float, _keys: Keys) -> None:
    facts.troubles["datastore", ""].add(at)


def _rejected(facts: Facts, at: float, keys: Keys) -> None:
    facts.lanes.at(at)["rejected"] += 1
    facts.troubles["rejected", ""].add(at, word(keys, "why"))


def _limited(facts: Facts, at: float, keys: Keys) -> None:
    facts.lanes.at(at)["limited"] += 1
    facts.troubles["limited", ""].add(at, f"limit {int(number(keys, 'limit'))}")


# Only answers that were given after the caller was let in and the workspace was found name a workspace to be
# kept: nobody can make this grow by asking for ids.
_ANSWERS: Mapping[str, Handler] = {
    "container_not_running": _refused_by_container,
    "container_engine_unavailable": _refused_by_engine,
    "external_runtime": _refused_as_external,
    "platform_unavailable": _refused_by_database,
}

_HANDLERS: Mapping[str, Handler] = {
    "process.started": _started,
    "process.stopping": _edge("life"),
    "process.stopped": _edge("life"),
    "process.crashed": _edge("life"),
    "settings.invalid": _edge("life"),
    "schema.refused": _edge("life"),
    "schema.outdated": _edge("schema"),
    "engine.unreachable": _edge("engine"),
    "engine.recovered": _edge("engine"),
    "database.unreachable": _edge("database"),
    "database.recovered": _edge("database"),
    "sweep.held": _edge("brake"),
    "sweep.released": _edge("brake"),
    "sweep.completed": _swept,
    "sweep.overran": _trouble("overran"),
    "sweep.aborted": _trouble("aborted", "reason"),
    "sweep.failed": _trouble("bug", "event"),
    "request.failed": _trouble("bug", "event"),
    "workspace.marked_offline": _marked("offline"),
    "workspace.marked_online": _marked("online"),
    "workspace.marked_degraded": _marked("degraded"),
    "workspace.would_mark": _would_mark,
    "workspace.mark_skipped": _trouble("mark_skipped"),
    "workspace.skipped": _trouble("unjudged"),
    "workspace.state_unknown": _unanswered,
    "container.check_transient": _unanswered,
    "container.not_running": _not_running,
    "request.completed": _answered,
    "request.limited": _limited,
    "auth.rejected": _rejected,
    "runtime.lookup_failed": _lookup_failed,
    "plugin.install_failed": _trouble("install_failed", "code"),
    "registry.unreadable": _trouble("registry"),
}
