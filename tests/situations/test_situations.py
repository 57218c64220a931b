"""What is kept of the situations, and that playing them again says the same."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise

import pytest

from tests.situations import kept
from tests.situations.play import SITUATIONS, play
from tests.situations.scene import Ground, own_ground

BUSY = {("sweeper", "sweep.overran"), ("sweeper", "sweep.aborted")}
"""What a busy machine adds."""


@pytest.fixture(scope="module")
async def ground(processes: None) -> AsyncIterator[Ground]:
    async with own_ground() as ground:
        yield ground


@pytest.mark.long
@pytest.mark.parametrize("name", SITUATIONS)
async def test_played_again_it_says_the_same(name: str, ground: Ground) -> None:
    assert kept.kinds(await play(name, ground)) - BUSY == kept.kinds(kept.read(name)) - BUSY


def test_something_is_kept_of_each_and_of_nothing_else() -> None:
    plain = {f"{name}.jsonl" for name in SITUATIONS}
    journal = {f"{name}.journal.jsonl" for name in kept.IN_THE_JOURNAL}
    assert {path.name for path in kept.DATA.iterdir()} == plain | journal


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_kept_is_small_in_order_and_of_no_machine(name: str) -> None:
    lines = kept.read(name)
    assert 5 < len(lines) < 300
    # Two processes print side by side, so that a line can be here before an older one.
    times = [datetime.fromisoformat(json.loads(line)["ts"]).timestamp() for line in lines]
    assert all(later - earlier > -0.5 for earlier, later in pairwise(times))
    assert not any("/tmp" in line or "/root" in line or "/home/" in line for line in lines)
    assert SITUATIONS[name].verdict


@pytest.mark.parametrize("name", kept.IN_THE_JOURNAL)
def test_the_journal_form_holds_the_same_lines(name: str) -> None:
    entries = [json.loads(line) for line in (kept.DATA / f"{name}.journal.jsonl").read_text().splitlines()]
    assert [entry["MESSAGE"] for entry in entries] == kept.read(name)
    for entry in entries:
        said = json.loads(entry["MESSAGE"])
        at = datetime.fromisoformat(said["ts"]).timestamp()
        assert float(entry["__REALTIME_TIMESTAMP"]) / 1e6 == pytest.approx(at, abs=1e-3)
        assert (entry["PRIORITY"] < "6") == (said["level"] != "info")
