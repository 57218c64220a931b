"""`healthsweep why` without its process: asked in this one, and read in both of its forms."""

import json
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.command.why.verb import why
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Told:
    """What it printed: the document, and the lines for people by their first word."""

    document: dict[str, Any]
    lines: dict[str, str]
    text: str

    @property
    def codes(self) -> list[str]:
        return [remark["code"] for remark in self.document["remarks"]]

    @property
    def entry(self) -> str:
        """The anchor of the handbook's entry."""
        _, _, anchor = str(self.document["handbook"]).partition("#")
        assert self.text.rstrip().endswith(f"docs/handbook/troubleshooting.md#{anchor}")
        return anchor


class Asking:
    """Asks with these settings, of which some can be others at a time."""

    def __init__(self, capsys: pytest.CaptureFixture[str], **settings: Any) -> None:
        self._capsys = capsys
        self._settings = {"metrics_port": 0, "engine_timeout": 1.0, **settings}

    async def __call__(self, words: str, **settings: Any) -> Told:
        chosen = Settings(**{**self._settings, **settings})
        printed = []
        for as_json in (True, False):
            await why(Namespace(workspace=words, json=as_json), chosen)
            printed.append(self._capsys.readouterr().out)
        assert len(printed[1].splitlines()) <= 10, printed[1]
        pairs = [line.partition("  ") for line in printed[1].splitlines()]
        lines = {word: said.strip() for word, _, said in pairs}
        return Told(json.loads(printed[0]), lines, printed[1])
