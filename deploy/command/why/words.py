"""The words of `why`: what is stored in one word, said in a sentence."""

from datetime import UTC, datetime

from deploy.command.exits import MEANINGS
from deploy.command.why.store import Observation
from shared.errors import EngineError
from shared.running import NotRunning, Running

_CONTAINER = {
    "missing": "Docker had no such container",
    "created": "its container was made and never started",
    "exited": "its container had exited",
    "paused": "its container was paused",
    "restarting": "its container restarted again and again",
    "removing": "its container was being removed",
    "dead": "its container was dead: Docker could not remove it",
    "running": "its container ran, undisturbed",
}

_OTHERWISE = {
    "created": "the workspace was created",
    "paused": "an operator paused it",
    "resumed": "an operator resumed it",
    "removed": "it was removed",
    "heartbeat": "its agent called",
    "heartbeat_stale": "its agent had been silent for too long",
    "error_rate": "its agent reported many errors",
    "wedged": "its agent reported that it is stuck",
    "recovered": "its agent reported that all is well again",
}

_BY = {"sweep": "seen by the sweep", "heartbeat": "in the request", "command": "by somebody at a terminal"}


def reason(observation: Observation) -> str:
    """Why that transition was written."""
    by_sweep = observation.detected_by == "sweep"
    first, second = (_CONTAINER, _OTHERWISE) if by_sweep else (_OTHERWISE, _CONTAINER)
    said = first.get(observation.reason) or second.get(observation.reason) or observation.reason
    return said + exit_code(observation.exit_code)


def detected_by(observation: Observation) -> str:
    """Who wrote it, with the id under which the log has more."""
    said = _BY.get(observation.detected_by, f"by {observation.detected_by}")
    return f"{said} {observation.cause_id}" if observation.cause_id else said


def look(seen: Running | NotRunning | EngineError) -> str:
    """What Docker says at this moment; each of the three outcomes in words that no other has."""
    match seen:
        case Running():
            return f"running: Docker would run a command in {seen.container_name}"
        case NotRunning():
            ended = _since(seen.finished_at)
            return f"not running: {seen.reason}{exit_code(seen.exit_code)}{ended} ({seen.container_name})"
        case EngineError():
            return f"not known: Docker could not say ({seen})"


def exit_code(code: int | None) -> str:
    """The exit code with what it commonly means; nothing for none."""
    if code is None:
        return ""
    return f", exit code {code} ({MEANINGS[code]})" if code in MEANINGS else f", exit code {code}"


def moment(at: datetime) -> str:
    """For people, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def lasting(seconds: float) -> str:
    """A duration in its two largest units at most."""
    whole = max(0, round(seconds))
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    position = next(number for number, (_, length) in enumerate(units) if whole >= length)
    (large, large_s), (small, small_s) = units[position], units[position + 1]
    rest = whole % large_s // small_s
    return f"{whole // large_s} {large}" + (f" {rest} {small}" if rest else "")


def _since(finished_at: str | None) -> str:
    if not finished_at or finished_at.startswith("0001-"):  # Docker's word for never
        return ""
    return f", since {finished_at[:19].replace('T', ' ')} UTC"
