"""The reports on the situations as they are kept: `python -m tests.deploy.triage.golden` writes them anew.

The handbook shows some of them, below a mark that says of which situation, and of which request in it:

    <!-- triage of engine_frozen -->
    <!-- triage of table_locked, the request of runtime.lookup_failed -->
"""

import json
import re
from pathlib import Path

from deploy.command.triage.incident import Kind
from tests.deploy.triage.reading import json_of, of_situation, report_of, text_of
from tests.situations.play import SITUATIONS
from tests.support.processes import CHECKOUT

GOLDEN = Path(__file__).parent / "golden"
PAGE = CHECKOUT / "docs" / "handbook" / "triage.md"

_SHOWN = re.compile(
    r"(<!-- triage of (?P<name>\w+)(?:, the request of (?P<event>[\w.]+))? -->\n\n```text\n).*?(?=```)",
    re.DOTALL,
)
_KINDS = re.compile(r"(`kind` is one of\n).*?(?=\n\n)", re.DOTALL)
_COLUMNS = 118


def reports(name: str) -> dict[str, str]:
    """The files of this situation, and what is to be in them."""
    report = report_of(of_situation(name))
    return {f"{name}.txt": text_of(report), f"{name}.json": json_of(report)}


def page() -> str:
    """The handbook's page, with what is to be shown in it."""
    kinds = ", ".join(f"`{kind}`" for kind in Kind)
    folded = re.sub(rf"(.{{1,{_COLUMNS}}})(?: |$)", r"\1\n", kinds).rstrip()
    return _KINDS.sub(rf"\1{folded}.", _SHOWN.sub(_shown, PAGE.read_text()))


def _shown(mark: re.Match[str]) -> str:
    lines = of_situation(mark["name"])
    if mark["event"] is None:
        return mark[1] + text_of(report_of(lines))
    request = next(said["request_id"] for said in map(json.loads, lines) if said["event"] == mark["event"])
    return mark[1] + text_of(report_of(lines, request=request))


if __name__ == "__main__":
    for situation in SITUATIONS:
        for file, text in reports(situation).items():
            (GOLDEN / file).write_text(text)
    PAGE.write_text(page())
