"""Which texts are workspace ids, and what their containers are called."""

from uuid import UUID

import pytest

from shared.errors import WorkspaceIdError
from shared.ids import container_name, parse_workspace_id, short_container_name

WORKSPACE = UUID("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="lower case"),
        pytest.param("0B6F3C1E-9A2D-4C5B-8E7F-A12233445566", id="upper case is lowered"),
        pytest.param("0b6F3c1E-9a2D-4c5B-8e7F-a12233445566", id="mixed case is lowered"),
    ],
)
def test_a_uuid_of_36_characters_is_an_id(text: str) -> None:
    assert parse_workspace_id(text) == WORKSPACE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("00000000-0000-0000-0000-000000000000", id="nil"),
        pytest.param("ffffffff-ffff-ffff-ffff-ffffffffffff", id="max"),
        pytest.param("0b6f3c1e-9a2d-0c5b-0e7f-a12233445566", id="of no version and no variant"),
    ],
)
def test_any_uuid_is_an_id_whatever_its_version(text: str) -> None:
    assert str(parse_workspace_id(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{0b6f3c1e-9a2d-4c5b-8e7f-a12233445566}", id="braces"),
        pytest.param("urn:uuid:0b6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="urn"),
        pytest.param("0b6f3c1e9a2d4c5b8e7fa12233445566", id="no hyphens"),
        pytest.param("0b6f-3c1e9a2d-4c5b-8e7f-a12233445566", id="hyphens elsewhere"),
        pytest.param("0b6f3c1e-9a2", id="the 12 characters of an old container name"),
        pytest.param("ws-0b6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="a container name"),
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a1223344556", id="a digit too few"),
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a122334455667", id="a digit too many"),
        pytest.param("gb6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="no hexadecimal digit"),
        pytest.param("\u0660b6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="a digit of another script"),
        pytest.param(" 0b6f3c1e-9a2d-4c5b-8e7f-a12233445566", id="a space before"),
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566\n", id="a line end behind"),
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566/../info", id="a path behind"),
        pytest.param("../../info?x=-9a2d-4c5b-8e7f-a122334", id="a path of 36 characters"),
        pytest.param("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566\0", id="a NUL behind"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(WorkspaceIdError, match="a UUID of 36 characters"):
        parse_workspace_id(text)


def test_a_container_is_named_by_the_whole_id_in_lower_case() -> None:
    assert container_name(WORKSPACE) == "ws-0b6f3c1e-9a2d-4c5b-8e7f-a12233445566"


def test_an_old_container_is_named_by_the_first_12_characters_hyphen_included() -> None:
    assert short_container_name(WORKSPACE) == "ws-0b6f3c1e-9a2"
