"""The command's side of what is recorded about plugins; what it forgets, a running api does not list."""

from pathlib import Path
from uuid import UUID

from tests.deploy.operator import Operator
from tests.support.api import running_api
from tests.support.postgres import connected
from tests.support.rows import add_row

RECORD = """
INSERT INTO healthsweep.plugin_records (workspace_id, plugin_name, source, digest, size_bytes, pulled_at)
VALUES ($1, $2, 'local://' || $2, 'h1:' || repeat('A', 43) || '=', 1, now())
"""


async def test_a_pull_is_forgotten(home: Path, database_url: str, short_directory: Path) -> None:
    operator = Operator(home, DATABASE_URL=database_url)
    environment = {"DATABASE_URL": database_url, "DOCKER_HOST": f"unix://{short_directory}/none.sock"}
    async with connected(database_url) as connection, running_api(environment, short_directory) as api:
        one, other = await add_row(connection), await add_row(connection)
        for workspace_id, name in ((one, "hello"), (one, "greet"), (other, "hello")):
            await connection.execute(RECORD, UUID(workspace_id), name)

        async def listed(workspace_id: str) -> list[str]:
            answer = await api.call("GET", f"/workspaces/{workspace_id}/plugins", token=api.admin_token)
            return [plugin["name"] for plugin in answer.json]

        assert await listed(one) == ["greet", "hello"]
        forgotten = await operator.json("plugin", "forget", one, "hello")
        assert forgotten == {"status": "forgotten", "workspace_id": one, "plugin": "hello"}
        assert (await listed(one), await listed(other)) == (["greet"], ["hello"])

        sentence = await operator.refused("plugin", "forget", one, "hello")
        assert sentence == f"no plugin 'hello' is recorded for the workspace {one}"
        assert "forgot greet" in (await operator.does("plugin", "forget", one, "greet")).stdout
