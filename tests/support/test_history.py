"""The history, read and watched."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.support.history import HistoryWatch, read_history
from tests.support.judge import Transition
from tests.support.postgres import connected

WORKSPACE = UUID("0b6f3c1e-9a2d-4f00-8000-000000000001")


async def test_it_is_read_and_watched(database_url: str) -> None:
    insert = """
    INSERT INTO healthsweep.history (workspace_id, from_status, to_status, reason, detected_by, at)
    VALUES ($1, 'online', 'offline', 'exited', 'sweep', $2)
    """
    hours_ago = datetime.now(UTC) - timedelta(hours=3)
    async with connected(database_url) as connection:
        await connection.execute(insert, WORKSPACE, hours_ago)
        assert await read_history(database_url) == [Transition(WORKSPACE, "online", "offline", hours_ago)]
        before = datetime.now(UTC)
        async with HistoryWatch(database_url) as history:
            await connection.execute(insert, WORKSPACE, hours_ago)
    assert [transition.at > before for transition in history.transitions] == [True]
