"""The recording proxy: what it notes, what it lets through, how it is faulty."""

import os
import tarfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import aiodocker
import pytest

from tests.support.asking import OUTCOMES, outcome
from tests.support.engine import DockerEngine
from tests.support.proxy import RecordingProxy
from tests.support.wire import FAULTS


async def test_it_records_what_the_engine_answered(
    docker: DockerEngine, docker_proxy: RecordingProxy
) -> None:
    container = await docker.container("ws-a")
    before = datetime.now(UTC)
    async with aiodocker.Docker(url=docker_proxy.host) as client:
        await client.containers.list(all=True)
        await client.containers.container("ws-a").show()
        with pytest.raises(aiodocker.DockerError):
            await client.containers.container("ws-b").show()
    _, listed, shown, missing = docker_proxy.requests
    assert (listed.path, listed.query["all"], listed.status) == ("/containers/json", "1", 200)
    assert isinstance(listed.body, list)
    assert isinstance(shown.body, dict)
    assert shown.body["Id"] == container.id
    assert (missing.inspected, missing.status) == ("ws-b", 404)
    assert missing.body == {"message": "No such container: ws-b"}
    assert shown.answered_at is not None
    assert before < shown.at <= shown.answered_at <= missing.at
    assert (docker_proxy.lists, docker_proxy.inspects) == (1, ["ws-a", "ws-b"])


async def test_uploads_downloads_and_execs_go_through(
    docker: DockerEngine, docker_proxy: RecordingProxy
) -> None:
    container = await docker.container("ws-a")
    content = os.urandom(3_000_000)
    tree = BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as archive:
        member = tarfile.TarInfo("content")
        member.size = len(content)
        archive.addfile(member, BytesIO(content))
    async with aiodocker.Docker(url=docker_proxy.host) as client:
        there = client.containers.container(container.id)
        await there.put_archive("/tmp", tree.getvalue())  # type: ignore[no-untyped-call]  # aiodocker's
        with await there.get_archive("/tmp/content") as returned:
            file = returned.extractfile("content")
            assert file is not None
            assert file.read() == content
        execution = await there.exec(["wc", "-c", "/tmp/content"])
        async with execution.start() as stream:
            message = await stream.read_out()
        assert message is not None
        assert message.data.startswith(b"3000000")


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_shows_is_recorded_and_heals(
    docker: DockerEngine, docker_proxy: RecordingProxy, fault: str
) -> None:
    await docker.container("ws-a", state="created")
    await docker_proxy.fault(fault)
    assert await outcome(docker_proxy) == OUTCOMES[fault]
    word = OUTCOMES[fault].split()[0]
    assert {exchange.status for exchange in docker_proxy.requests} == (
        set() if fault in ("refused", "no socket") else {int(word) if word.isdigit() else None}
    )
    await docker_proxy.heal()
    assert (await outcome(docker_proxy)).startswith("200 ")


async def test_a_hung_and_a_dead_engine_look_the_same_through_it(
    private_docker: DockerEngine, short_directory: Path
) -> None:
    async with RecordingProxy(private_docker.socket, short_directory / "p") as proxy:
        private_docker.pause()
        assert await outcome(proxy) == "timeout"
        private_docker.resume()
        assert (await outcome(proxy)).startswith("404 ")
        await private_docker.kill()
        assert await outcome(proxy) == "ServerDisconnectedError"
        assert [exchange.status for exchange in proxy.requests][:3] == [None, 404, None]
