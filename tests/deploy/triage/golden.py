"""The reports on the situations as they are kept: `python -m tests.deploy.triage.golden` writes them anew."""

from pathlib import Path

from tests.deploy.triage.reading import json_of, of_situation, report_of, text_of
from tests.situations.play import SITUATIONS

GOLDEN = Path(__file__).parent / "golden"


def reports(name: str) -> dict[str, str]:
    """The files of this situation, and what is to be in them."""
    report = report_of(of_situation(name))
    return {f"{name}.txt": text_of(report), f"{name}.json": json_of(report)}


if __name__ == "__main__":
    for situation in SITUATIONS:
        for file, text in reports(situation).items():
            (GOLDEN / file).write_text(text)
