"""What a body must be before anything in it is read, and that what is taken can be told again."""

import codecs
import json

import pytest

from api.errors import InvalidBody
from api.requests import MOST_DEPTH, parse_flag, parse_object
from tests.api.calls import beat
from tests.api.conftest import StartApi
from tests.support.postgres import connected
from tests.support.rows import add_row


def nested(levels: int) -> bytes:
    """An object around lists, `levels` of them together."""
    return b'{"agent_card": ' * (levels > 0) + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused(encoding: str) -> None:
    body = json.dumps({"name": "é"}, ensure_ascii=False).encode(encoding)
    with pytest.raises(InvalidBody):
        parse_object(body)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse_object(codecs.BOM_UTF8 + b'{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("levels", [MOST_DEPTH + 1, 900, 30_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    parse_object(nested(MOST_DEPTH))
    with pytest.raises(InvalidBody):
        parse_object(nested(levels))


async def test_a_deep_card_does_not_break_the_list_of_all(start_api: StartApi) -> None:
    async with start_api() as api:
        async with connected(api.environment["DATABASE_URL"]) as connection:
            row = await add_row(connection)
        card = json.loads("[" * (MOST_DEPTH - 2) + "]" * (MOST_DEPTH - 2))
        for deeper, status in (([[card]], 400), (card, 200)):
            body = {"workspace_id": row, "agent_card": {"skills": deeper}}
            assert (await api.call("POST", "/registry/update-card", body)).status == status
        assert (await beat(api, row)).status == 200
        listed = await api.call("GET", "/workspaces", token=api.admin_token)
        assert [each["agent_card"] for each in listed.json] == [{"skills": card}]


@pytest.mark.parametrize(("text", "flag"), [("True", True), ("1", True), ("FALSE", False), ("", True)])
def test_a_flag_in_any_case(text: str, flag: bool) -> None:
    assert parse_flag(text, name="restart", default=True) is flag
