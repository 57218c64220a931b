"""What agents and those who manage workspaces say in their bodies and queries, as values, or what is wrong.

`null` counts as absent, unknown keys are ignored, numbers are brought into a range that makes sense and the
database holds.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.agent_urls import NO_INBOUND, check_agent_url
from api.errors import InvalidBody, InvalidRequest, InvalidWorkspaceId
from api.names import parse_id
from api.store.heartbeats import Vitals
from shared.workspaces import NewWorkspace

_INTEGER = 2**31 - 1
_MOST_SPENT = 10**15
_LONGEST_TEXT = 4096
_LONGEST_NAME = 256
_LONGEST_RUNTIME = 64


@dataclass(frozen=True, slots=True)
class Registration:
    """What a register tells. `url` None: the agent named none, and the stored one stays."""

    url: str | None
    agent_card: dict[str, Any]


def body_workspace_id(body: dict[str, Any], key: str) -> UUID:
    """The workspace that the body is about. Raises InvalidWorkspaceId."""
    text = body.get(key)
    if not isinstance(text, str):
        raise InvalidWorkspaceId
    return parse_id(text)


def parse_vitals(body: dict[str, Any]) -> Vitals:
    """What the heartbeat in `body` tells. Raises InvalidBody for a value of another type."""
    runtime_state = body.get("runtime_state")
    if not isinstance(runtime_state, str | None):
        raise InvalidBody(detail="runtime_state must be a text")
    return Vitals(
        error_rate=_number(body, "error_rate", 0.0, 1.0),
        sample_error=_text(body, "sample_error"),
        active_tasks=_whole(body, "active_tasks", _INTEGER),
        uptime_seconds=_whole(body, "uptime_seconds", _INTEGER),
        current_task=_text(body, "current_task"),
        wedged=runtime_state == "wedged",
        monthly_spend=_whole(body, "monthly_spend", _MOST_SPENT),
    )


def parse_registration(body: dict[str, Any], *, external: bool, allow_private: bool) -> Registration:
    """What the register in `body` tells; `external` is what its workspace is. Raises InvalidRequest.

    An agent that nobody can reach polls: for external runtimes that goes without saying.
    """
    mode = body.get("delivery_mode") or None
    if mode not in ("push", "poll", None):
        raise InvalidRequest('delivery_mode must be "push" or "poll"')
    url = _url(body)
    no_inbound = url is None or (external and url == NO_INBOUND)
    if no_inbound and mode != "poll" and not (external and mode is None):
        raise InvalidRequest("url is required for push-mode workspaces")
    if url is not None and not no_inbound:
        check_agent_url(url, allow_private=allow_private)
    return Registration(url, parse_card(body))


def parse_card(body: dict[str, Any]) -> dict[str, Any]:
    """The agent card in `body`. Raises InvalidRequest."""
    card = body.get("agent_card")
    if not isinstance(card, dict):
        raise InvalidRequest("agent_card is required and must be an object")
    return card


def parse_workspace(
    body: dict[str, Any], *, external_runtimes: frozenset[str], allow_private: bool
) -> NewWorkspace:
    """The workspace that `body` asks for. Raises InvalidRequest, InvalidAgentUrl, InvalidWorkspaceId."""
    name = _short_text(body, "name", _LONGEST_NAME)
    if not name:
        raise InvalidRequest("name is required")
    external = body.get("external")
    if not isinstance(external, bool | None):
        raise InvalidBody(detail="external must be true or false")
    runtime = _short_text(body, "runtime", _LONGEST_RUNTIME) or "langgraph"
    if external and runtime not in external_runtimes:
        runtime = "external"
    url = _url(body)
    if url is not None and not (url == NO_INBOUND and runtime in external_runtimes):
        check_agent_url(url, allow_private=allow_private)
    return NewWorkspace(
        name=name,
        runtime=runtime,
        url=url,
        tier=_tier(body),
        role=_short_text(body, "role", _LONGEST_NAME),
        parent_id=body_workspace_id(body, "parent_id") if body.get("parent_id") is not None else None,
    )


def parse_count(text: str | None, *, name: str, default: int, most: int, least: int = 0) -> int:
    """A query parameter that counts, brought into its range. Raises InvalidRequest for no whole number."""
    if not text:
        return default
    try:
        return max(least, min(most, int(text)))
    except ValueError as exc:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}") from exc


def _number(body: dict[str, Any], key: str, least: float, most: float) -> float:
    value = body.get(key)
    if value is None:
        return least
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidBody(detail=f"{key} must be a number")
    return float(max(least, min(most, value)))


def _whole(body: dict[str, Any], key: str, most: int) -> int:
    return int(_number(body, key, 0, most))


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str | None):
        raise InvalidBody(detail=f"{key} must be a text")
    return (value or "")[:_LONGEST_TEXT]


def _short_text(body: dict[str, Any], key: str, longest: int) -> str | None:
    """The text, trimmed; None where there is none. What is too long is refused, not cut."""
    value = body.get(key)
    if not isinstance(value, str | None):
        raise InvalidBody(detail=f"{key} must be a text")
    text = (value or "").strip()
    if len(text) > longest:
        raise InvalidRequest(f"{key} must be at most {longest} characters")
    return text or None


def _tier(body: dict[str, Any]) -> int | None:
    tier = body.get("tier")
    whole = isinstance(tier, int) and not isinstance(tier, bool)
    if tier is not None and not (whole and 0 <= tier <= _INTEGER):
        raise InvalidRequest(f"tier must be a whole number from 0 to {_INTEGER}")
    return tier


def _url(body: dict[str, Any]) -> str | None:
    value = body.get("url")
    if not isinstance(value, str | None):
        raise InvalidBody(detail="url must be a text")
    return (value or "").strip() or None
