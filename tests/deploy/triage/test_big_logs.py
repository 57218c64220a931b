"""A log of a million lines: in how much memory and time it is read."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest

from deploy.children import tied
from deploy.command.triage.intake import Intake
from shared.moments import rfc3339
from tests.deploy.triage.operator import ENTRY
from tests.deploy.triage.reading import BEGAN, of_situation
from tests.situations.journal import as_journal
from tests.situations.play import SITUATIONS
from tests.support.processes import CHECKOUT

FLEET = 1000


def lines(number: int, *, a_day: int) -> Iterator[str]:
    """All situations again and again, so many lines a day, each time of other workspaces."""
    kept = [of_situation(name) for name in SITUATIONS]
    made = 0
    for turn in range(number):
        situation = kept[turn % len(kept)]
        ids = {json.loads(line).get("workspace_id") for line in situation} - {None}
        others = {own: str(uuid5(NAMESPACE_DNS, f"{own}{turn % FLEET}")) for own in ids}
        began = datetime.fromisoformat(json.loads(situation[0])["ts"])
        shift = BEGAN + timedelta(days=made / a_day) - began
        for line in situation:
            ts = line[8:32]
            moved = line.replace(ts, rfc3339(datetime.fromisoformat(ts) + shift), 1)
            for own, other in others.items():
                moved = moved.replace(own, other)
            yield moved
            made += 1
            if made == number:
                return


def test_it_takes_little_more_than_reading_json_does() -> None:
    some = [line.encode() for line in lines(20_000, a_day=20_000)]
    ours = min(_seconds(Intake().take, some) for _ in range(3))
    plain = min(_seconds(json.loads, some) for _ in range(3))
    assert ours < 6 * plain, f"{ours / plain:.1f} times as long"


def _seconds(read: Callable[[bytes], object], some: list[bytes]) -> float:
    began = time.process_time()
    for line in some:
        read(line)
    return time.process_time() - began


@pytest.mark.long
@pytest.mark.parametrize("form", ["plain", "journal"])
@pytest.mark.timeout(1200)
def test_a_million_lines_out_of_order(form: str, tmp_path: Path) -> None:
    """CPU time is measured, because others share the machine; on an idle one it is what the clock shows."""
    later, earlier = tmp_path / "later.log", tmp_path / "earlier.log"
    with later.open("w") as odd, earlier.open("w") as even:
        for number, line in enumerate(lines(1_000_000, a_day=500_000)):
            written = as_journal(line, number=number) if form == "journal" else line
            (odd if number % 2 else even).write(f"{written}\n")
    command = tied([*ENTRY, str(later), str(earlier), "--html", str(tmp_path / "page.html")])
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert process.stdout
    printed = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    seconds = usage.ru_utime + usage.ru_stime
    print(f"\n{form}: {seconds:.1f} s of CPU, {usage.ru_maxrss / 1024:.0f} MiB")
    assert status == 0
    assert printed.startswith("1,000,000 lines, ")
    assert seconds < 60
    assert usage.ru_maxrss < 200 * 1024
