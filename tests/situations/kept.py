"""What is kept of a situation: `data/NAME.jsonl`, and of some also `data/NAME.journal.jsonl`."""

import json
from pathlib import Path

# These make the situations known.
from tests.situations import of_agents, of_containers, of_docker, of_the_host  # noqa: F401
from tests.situations.journal import as_journal

DATA = Path(__file__).parent / "data"
IN_THE_JOURNAL = ("engine_frozen", "crash_loop")


def write(into: Path, name: str, lines: list[str]) -> None:
    """Keep the lines of this situation in the directory `into`."""
    (into / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if name in IN_THE_JOURNAL:
        entries = [as_journal(line, number=number) for number, line in enumerate(lines, 4096)]
        (into / f"{name}.journal.jsonl").write_text("".join(f"{entry}\n" for entry in entries))


def read(name: str) -> list[str]:
    """The lines that are kept of it."""
    return (DATA / f"{name}.jsonl").read_text().splitlines()


def kinds(lines: list[str]) -> set[tuple[str, str]]:
    """Who says what in them: process and event."""
    return {(said["process"], said["event"]) for said in map(json.loads, lines)}
