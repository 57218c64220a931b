"""The reports on the situations as they are kept: `python -m tests.deploy.triage.golden` writes them anew."""

from pathlib import Path

from tests.deploy.triage.reading import json_of, of_situation, report_of, text_of
from tests.situations.play import SITUATIONS

GOLDEN = Path(__file__).parent / "golden"


def reports() -> dict[str, str]:
    """Every file, and what is to be in it."""
    of = {name: report_of(of_situation(name)) for name in SITUATIONS}
    return {
        **{f"{name}.txt": text_of(report) for name, report in of.items()},
        **{f"{name}.json": json_of(report) for name, report in of.items()},
    }


if __name__ == "__main__":
    for name, text in reports().items():
        (GOLDEN / name).write_text(text)
