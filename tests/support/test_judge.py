"""The judge of what was on the wire: which offlines are false."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.support.exchange import Exchange
from tests.support.judge import Transition, false_offlines

WORKSPACE = UUID("0b6f3c1e-9a2d-4f00-8000-000000000001")
FULL, SHORT = f"ws-{WORKSPACE}", "ws-0b6f3c1e-9a2"
ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def said(name: str, second: float, status: int | None, body: object = None) -> Exchange:
    at = ZERO + timedelta(seconds=second)
    answered_at = None if status is None else at
    return Exchange("GET", f"/containers/{name}/json", {}, at, status, body, answered_at)


def shows(word: object) -> dict[str, object]:
    return {"State": {"Status": word, "Running": True}}


GONE = {"message": "No such container: x"}
PODMAN_GONE = {"cause": "no such container", "message": "no container with name or ID"}


@pytest.mark.parametrize(
    ("wire", "is_false"),
    [
        pytest.param([], True, id="nothing was asked"),
        pytest.param([said(FULL, 5, 200, shows("exited"))], False, id="exited"),
        pytest.param([said(FULL, 5, 200, shows("paused"))], False, id="paused, and Running is true"),
        pytest.param([said(FULL, 5, 200, shows("running"))], True, id="running"),
        pytest.param([said(FULL, 5, 200, shows("sleeping"))], True, id="a word that nobody knows"),
        pytest.param([said(FULL, 5, 200, shows(None))], True, id="no word"),
        pytest.param([said(FULL, 5, 200, [])], True, id="no object"),
        pytest.param([said(FULL, 5, 200, b"<html>")], True, id="no JSON"),
        pytest.param([said(FULL, 5, None)], True, id="no answer"),
        pytest.param([said(FULL, 5, 404, GONE)], False, id="missing"),
        pytest.param([said(FULL, 5, 404, PODMAN_GONE)], False, id="missing, in Podman's words"),
        pytest.param([said(FULL, 5, 404, {"message": "page not found"})], True, id="another 404"),
        pytest.param([said(FULL, 5, 404, b"no such container")], True, id="a 404 that is no JSON"),
        pytest.param([said(FULL, 5, 500, GONE)], True, id="a 500 that says missing"),
        pytest.param([said(FULL, 5, 409, shows("exited"))], True, id="a 409 that says exited"),
        pytest.param([said(FULL, 1, 200, shows("exited"))], True, id="before the last online"),
        pytest.param([said(FULL, 9, 200, shows("exited"))], True, id="after the offline"),
        pytest.param([said("ws-other", 5, 404, GONE)], True, id="another container"),
        pytest.param(
            [said(FULL, 5, 404, GONE), said(SHORT, 6, 200, shows("running"))], True, id="short runs"
        ),
        pytest.param([said(FULL, 5, 404, GONE), said(SHORT, 6, None)], True, id="short unknown"),
        pytest.param([said(FULL, 5, 404, GONE), said(SHORT, 6, 404, GONE)], False, id="both missing"),
        pytest.param(
            [said(FULL, 5, 404, GONE), said(SHORT, 6, 200, shows("exited"))], False, id="short exited"
        ),
        pytest.param([said(SHORT, 6, 200, shows("exited"))], True, id="short alone"),
        pytest.param(
            [said(FULL, 4, 404, GONE), said(SHORT, 5, None), said(FULL, 6, 404, GONE)], False, id="again"
        ),
    ],
)
def test_an_offline_needs_a_definite_answer(wire: list[Exchange], is_false: bool) -> None:
    online = Transition(WORKSPACE, "offline", "online", ZERO + timedelta(seconds=2))
    offline = Transition(WORKSPACE, "online", "offline", ZERO + timedelta(seconds=8))
    assert false_offlines(wire, [offline, online]) == ([offline] if is_false else [])
    assert not false_offlines(wire, [offline, online], external=[WORKSPACE])


@pytest.mark.parametrize("previous", [None, "paused", "provisioning"])
def test_who_was_not_up_did_not_go_down(previous: str | None) -> None:
    assert not false_offlines([], [Transition(WORKSPACE, previous, "offline", ZERO)])
