"""What does not fit together, and what it means: each remark has a code for programs and a sentence."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from deploy.command.why.case import Case
from deploy.command.why.words import lasting
from deploy.handbook import Entry
from shared.errors import EngineError
from shared.ids import container_name
from shared.running import NotRunning, Running
from shared.settings import Settings

_SHOWS_LIFE = ("online", "degraded")
_LEFT_ALONE = ("provisioning", "failed", "paused", "hibernated", "hibernating", "awaiting_agent")
_UNTIL_HEARTBEAT = ("provisioning", "awaiting_agent")
_CRASHES = 3


@dataclass(frozen=True, slots=True)
class Remark:
    """`entry` is where the handbook goes on."""

    code: str
    says: str
    entry: Entry


def remarks(case: Case) -> list[Remark]:
    """All that there is to say, what matters most first."""
    return [remark for rule in _RULES if (remark := rule(case)) is not None]


def _removed(case: Case) -> Remark | None:
    if case.facts.status != "removed":
        return None
    runs = "; its container still runs, for nobody removed that" if isinstance(case.look, Running) else ""
    return Remark(
        "removed", f"it is removed: its tokens open nothing, nobody watches it{runs}", Entry.NOT_WATCHED
    )


def _elsewhere(case: Case) -> Remark | None:
    if case.kind != "elsewhere":
        return None
    says = "its row carries an instance_id: the platform runs it on another host, and nobody here watches it"
    return Remark("elsewhere", says, Entry.NOT_WATCHED)


def _unswept(case: Case) -> Remark | None:
    if case.kind != "unswept":
        return None
    says = f"the runtime {case.facts.runtime} is in UNSWEPT_RUNTIMES: its status is never written here"
    return Remark("unswept", says, Entry.NOT_WATCHED)


def _runtime_unreadable(case: Case) -> Remark | None:
    if case.kind != "unreadable":
        return None
    says = (
        "its runtime cannot be read, so requests take it for one with a container here: if it is external,"
        " a push gets 503 and not 422; its owner has to run GRANT SELECT ON public.workspaces TO our role"
    )
    return Remark("runtime_unreadable", says, Entry.RUNTIME_NOT_LOOKED_UP)


def _could_not_say(case: Case) -> Remark | None:
    if not isinstance(case.look, EngineError):
        return None
    keeps = f"its status stays {case.facts.status} until Docker can say, and a push gets 503"
    if case.engine_answers:
        says = f"Docker answers, but not about this container, which may be sick; {keeps}"
        return Remark("container_could_not_be_asked", says, Entry.STATE_UNKNOWN)
    says = f"this is Docker's doing and not the workspace's, which may be fine: {keeps}"
    return Remark("engine_could_not_answer", says, Entry.ENGINE_COULD_NOT_ANSWER)


def _shows_life_but_stopped(case: Case) -> Remark | None:
    if not _may_be_marked(case, _SHOWS_LIFE) or not isinstance(case.look, NotRunning):
        return None
    when, entry = _when_marked(case, "offline", case.settings.offline_grace)
    says = f"it shows {case.facts.status}, but its container does not run, and a push gets 503: {when}"
    return Remark("shows_life_but_not_running", says, entry or Entry.CONTAINER_STOPPED)


def _offline_but_running(case: Case) -> Remark | None:
    if not _may_be_marked(case, ("offline",)) or not isinstance(case.look, Running):
        return None
    if case.healed_by_container:
        when, entry = _when_marked(case, "online", case.settings.online_grace)
        says = f"it shows offline, but its container runs: {when}"
        return Remark("offline_but_running", says, entry or Entry.CONTAINER_DIED)
    ours = case.facts.observation is not None
    who = "it was its agent that fell silent" if ours else "another program put it offline"
    says = f"its container runs, but {who}: a heartbeat brings it back, its container alone does not"
    return Remark("offline_until_heartbeat", says, Entry.HEARTBEATS_STALE if ours else Entry.OTHER_WRITER)


def _crash_loop(case: Case) -> Remark | None:
    restarts = isinstance(case.look, NotRunning) and case.look.reason == "restarting"
    often = case.kind == "container" and case.facts.crashes >= _CRASHES
    if not restarts and not often:
        return None
    says = "its program ends as often as Docker starts it"
    if often:
        says = f"its program failed and it went offline {case.facts.crashes} times within the last hour"
    name = container_name(case.facts.id)
    if isinstance(case.look, Running | NotRunning):
        name = case.look.container_name  # which can be the short one
    return Remark("crash_loop", f"{says}: `{_docker(case)} logs {name}`", Entry.CRASH_LOOP)


def _down(case: Case) -> Remark | None:
    if not _may_be_marked(case, ("offline",)) or not isinstance(case.look, NotRunning):
        return None
    if case.look.reason == "restarting":
        return None  # Docker starts it again and again: a remark of its own
    name = case.look.container_name
    says = f"it is offline because its container does not run: `{_docker(case)} start {name}`"
    if case.look.reason == "missing":
        says = "it is offline because Docker has no container for it: make one, or have the platform make it"
    elif case.look.reason == "paused":
        says = f"it is offline because its container is paused: `{_docker(case)} unpause {name}`"
    return Remark("container_down", says, Entry.CONTAINER_DIED)


def _left_alone(case: Case) -> Remark | None:
    if case.facts.status not in _LEFT_ALONE or not isinstance(case.look, Running):
        return None
    ends = "whoever wrote that takes it back"
    if case.facts.status in _UNTIL_HEARTBEAT:
        ends = "the first heartbeat of its agent ends that"
    says = f"its container runs and it stays {case.facts.status}, by design: {ends}"
    return Remark("left_alone", says, Entry.NOT_WATCHED)


def _without_time(case: Case) -> Remark | None:
    silent_s = case.facts.silent_s
    if silent_s is None or math.isfinite(silent_s):
        return None
    says = "its last heartbeat has no finite time, so its silence cannot be judged: correct the row"
    return Remark("heartbeat_without_time", says, Entry.NOT_WATCHED)


def _silent(case: Case) -> Remark | None:
    if case.kind != "external" or case.facts.status not in _SHOWS_LIFE or not case.is_silent:
        return None
    if case.facts.deaf:
        says = "its agent was not heard, but nobody listens: the api is away, and nobody is judged meanwhile"
        return Remark("nobody_listens", says, Entry.HEARTBEATS_STALE)
    when, entry = _when_marked(case, "offline", 0)
    says = f"it shows {case.facts.status}, but its agent is silent for too long: {when}"
    return Remark("shows_life_but_silent", says, entry or Entry.HEARTBEATS_STALE)


def _stale(case: Case) -> Remark | None:
    if case.kind != "external" or case.facts.status != "offline":
        return None
    says = "its agent does not call: does it run, and does it reach the api with a token of this workspace?"
    if case.facts.deaf:
        says = "nobody listens for its heartbeats: the api is away"
    return Remark("silent", says, Entry.HEARTBEATS_STALE)


def _degraded(case: Case) -> Remark | None:
    if case.facts.status != "degraded":
        return None
    rate, sample = case.facts.last_error_rate, (case.facts.last_sample_error or "").strip()
    says = "its agent reports trouble" if rate is None else f"its agent reports an error rate of {rate:.2f}"
    return Remark("degraded", f"{says}: {sample[:200]}" if sample else says, Entry.DEGRADED)


def _no_heartbeat(case: Case) -> Remark | None:
    shows_life = case.kind == "container" and case.facts.status in _SHOWS_LIFE
    age = case.facts.heartbeat_age_s
    if age is None:  # many agents never call, and are well
        return None
    if not shows_life or not isinstance(case.look, Running) or not case.is_silent or case.facts.deaf:
        return None
    says = f"its container runs, but its agent last called {lasting(age)} ago: it may be dead inside"
    return Remark("no_heartbeat", says, Entry.AGENT_DEAD_INSIDE)


def _other_writer(case: Case) -> Remark | None:
    newest = case.facts.newest
    if newest is None or newest.to_status == case.facts.status:
        return None
    says = (
        f"another program wrote {case.facts.status}: the last that was written here is {newest.to_status},"
        f" {lasting(newest.age_s)} ago"
    )
    return Remark("other_writer", says, Entry.OTHER_WRITER)


def _external(case: Case) -> Remark | None:
    if case.kind != "external":
        return None
    says = "it is external, without a container here: a plugin push gets 422, its agent pulls instead"
    return Remark("external", says, Entry.EXTERNAL_WORKSPACE)


_RULES: tuple[Callable[[Case], Remark | None], ...] = (
    _removed,
    _elsewhere,
    _unswept,
    _runtime_unreadable,
    _could_not_say,
    _shows_life_but_stopped,
    _offline_but_running,
    _crash_loop,
    _down,
    _left_alone,
    _without_time,
    _silent,
    _stale,
    _degraded,
    _no_heartbeat,
    _other_writer,
    _external,
)


def _docker(case: Case) -> str:
    """The command for the engine that was asked."""
    host = case.settings.docker_host
    return "docker" if host == Settings().docker_host else f"docker -H {host}"


def _may_be_marked(case: Case, statuses: tuple[str, ...]) -> bool:
    return case.kind == "container" and case.facts.status in statuses


def _when_marked(case: Case, target: str, grace_s: float) -> tuple[str, Entry | None]:
    """When a sweep writes it, or why none does, with the entry about that."""
    pulse = case.pulse
    if pulse.state in ("away", "silent", "late"):
        return (
            f"nobody marks it {target}, because the sweeper does not sweep ({pulse.says})",
            Entry.SWEEPER_STOPPED,
        )
    if not case.settings.sweep_write:
        return f"SWEEP_WRITE is off, so the sweeper only says that it would mark it {target}", None
    if pulse.holds and target == "offline":
        return (
            "the brake holds all offline marks back, for this looks like the wrong engine",
            Entry.SWEEP_HELD,
        )
    condition = "" if pulse.state in ("sweeping", "starting") else " if a sweeper runs, which is not known"
    return f"the next sweep marks it {target}, within {case.within_s(grace_s)} s{condition}", None
