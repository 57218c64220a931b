"""What a container answers is not trusted: programs in it can be anybody's."""

from collections.abc import Iterable, Sequence

import pytest

from api.errors import CopyFailed
from api.plugins.container import PluginContainer
from shared.engine import Executed
from shared.running import Running


class Saying:
    """A container in which every program says the same."""

    def __init__(self, output: bytes) -> None:
        self._output = output
        self.executed: list[list[str]] = []

    async def execute(
        self, container_id: str, arguments: Sequence[str], *, seconds: float, max_output: int
    ) -> Executed:
        self.executed.append(list(arguments))
        return Executed(0, self._output)

    async def has_path(self, container_id: str, path: str) -> bool:
        raise AssertionError("nothing is looked for")

    async def upload(
        self, container_id: str, directory: str, tar: Iterable[bytes], *, seconds: float
    ) -> None:
        raise AssertionError("nothing is uploaded")

    async def restart(self, container_id: str, *, seconds: float) -> None:
        raise AssertionError("nothing is restarted")


def plugins_of(output: bytes) -> PluginContainer:
    return PluginContainer(Saying(output), Running("ws-x", "abc"))


@pytest.mark.parametrize(
    "output",
    [
        b"9" * 5000 + b" p/plugin.yaml\ncontents\nx",
        b"999999999 p/plugin.yaml\ncontents\nx",
        b"2 p/plugin.yaml\ncontents\nx",
        b"1 p/plugin.yaml\ncontents\nxx",
        b"0 p/plugin.yaml\n",
        b"sh: not found",
    ],
)
async def test_a_list_that_is_no_list(output: bytes) -> None:
    with pytest.raises(CopyFailed):
        await plugins_of(output).plugins()


async def test_a_list_of_one_of_many_and_of_none() -> None:
    one, two = b"version: 1\n", b"contents\nversion: 2"
    output = b"0 bare/plugin.yaml\n    11 b/plugin.yaml\n    19 a/plugin.yaml\n    30 total\ncontents\n"
    found = await plugins_of(output + one + two).plugins()
    assert found is not None
    assert [(plugin.name, plugin.manifest) for plugin in found] == [("a", two), ("b", one), ("bare", b"")]
    for nothing in (b"contents\n", b""):
        assert await plugins_of(nothing).plugins() == []


@pytest.mark.parametrize("number", [b"x", b"1", b"-1", b"", "²".encode(), b"9" * 5000])
async def test_a_file_that_nobody_asked_for(number: bytes) -> None:
    output = b"file %d 1\n%s." % (len(number), number)
    with pytest.raises(CopyFailed):
        await plugins_of(output).read(["/configs/CLAUDE.md"])


async def test_many_files_are_asked_for_in_portions() -> None:
    saying = Saying(b"file 1 1\n0x")
    paths = [f"/configs/plugins/p/rules/{number}" for number in range(600)]
    contents = await PluginContainer(saying, Running("ws-x", "abc")).read(paths)
    assert contents == {paths[0]: b"x", paths[256]: b"x", paths[512]: b"x"}
    assert [path for arguments in saying.executed for path in arguments[4:]] == paths
