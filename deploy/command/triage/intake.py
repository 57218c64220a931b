"""From lines of input to what is known of them; which lines are wanted, and which are kept as they are."""

import re
from dataclasses import dataclass, field

from deploy.command.triage.events import count, hear
from deploy.command.triage.facts import Facts, plain
from deploy.command.triage.lines import Line, Text, parse, word
from deploy.command.triage.spans import Extremes
from shared.errors import HealthsweepError

_MOST_KEPT = 1000
_MOST_NAMED = 10
_ID_OR_ITS_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_EVERYBODYS = frozenset(
    {
        "engine.unreachable",
        "engine.recovered",
        "database.unreachable",
        "database.recovered",
        "sweep.held",
        "sweep.released",
        "process.started",
        "process.stopping",
        "process.stopped",
        "process.crashed",
        "settings.invalid",
        "schema.outdated",
        "schema.refused",
    }
)
"""What may be the reason for anything that happens to a workspace."""


class BadQuestion(HealthsweepError):
    """What was asked for cannot be found so; the text says how it could."""


def workspace_prefix(text: str) -> str:
    """A workspace's id, its container's name, or the beginning of either, as the id's beginning.

    Raises BadQuestion.
    """
    prefix = text.strip().lower().removeprefix("ws-")
    if not _ID_OR_ITS_BEGINNING.fullmatch(prefix):
        raise BadQuestion(f"{text!r} is no workspace id, nor the first four characters or more of one")
    return prefix


@dataclass(slots=True)
class Intake:
    """Takes lines. With `workspace` (the beginning of an id) or `request`, only theirs, which it also keeps.

    Lines before `since` (seconds since 1970) are left out.
    """

    since: float | None = None
    workspace: str | None = None
    request: str | None = None
    facts: Facts = field(default_factory=Facts)
    lines: int = 0
    """How many lines of ours there were, whether they were wanted or not."""
    earlier: int = 0
    """How many of them were left out because of `since`."""
    seen: set[str] = field(default_factory=set)
    """The workspaces that `workspace` meant, some of them if they are many."""
    kept: Extremes[Line] = field(
        default_factory=lambda: Extremes(_MOST_KEPT, key=lambda line: (-line.at, plain(line.keys)))
    )
    """The newest lines of what was asked for."""

    def take(self, raw: bytes) -> None:
        """One line of input."""
        said = parse(raw)
        if isinstance(said, Line):
            self._take(said)
        elif isinstance(said, Text):
            if said.text and (self.since is None or said.at is None or said.at >= self.since):
                hear(self.facts, said.text)
        else:
            self.facts.skipped[said] += 1

    def story(self) -> list[Line]:
        """The kept lines, the oldest first."""
        return sorted(self.kept, key=lambda line: (line.at, plain(line.keys)))

    def check(self) -> None:
        """Raises BadQuestion where nothing, or too much, was meant by what was asked for."""
        if self.request is not None and not self.story():
            raise BadQuestion(f"no line has the request id {self.request!r}")
        if self.workspace is not None and len(self.seen) != 1:
            several = ", ".join(sorted(self.seen))
            problem = f"may be any of {several}" if self.seen else "is not in any line"
            raise BadQuestion(f"the workspace {self.workspace} {problem}")

    def _take(self, line: Line) -> None:
        self.lines += 1
        if self.since is not None and line.at < self.since:
            self.earlier += 1
        elif self.request is not None:
            if line.keys.get("request_id") == self.request:
                self._keep(line)
        elif self.workspace is not None:
            if word(line.keys, "workspace_id").lower().startswith(self.workspace):
                if len(self.seen) < _MOST_NAMED:
                    self.seen.add(word(line.keys, "workspace_id").lower())
                self._keep(line)
            elif line.event in _EVERYBODYS:
                count(self.facts, line)
        else:
            count(self.facts, line)

    def _keep(self, line: Line) -> None:
        self.kept.add(line)
        count(self.facts, line)
