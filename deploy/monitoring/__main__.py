"""`python -m deploy.monitoring`: writes the rules and the dashboard anew, beside this file."""

import json
from pathlib import Path

import yaml

from deploy.monitoring.alerts import rules
from deploy.monitoring.dashboard import dashboard

_HEADER = "# Made by `python -m deploy.monitoring` from shared/metrics.py and deploy/monitoring/alerts.py.\n"


def made() -> dict[str, str]:
    """Each file's name, and what is in it."""
    return {
        "healthsweep.rules.yml": _HEADER + yaml.safe_dump(rules(), sort_keys=False, width=1000),
        "healthsweep-dashboard.json": json.dumps(dashboard(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for file, text in made().items():
        (Path(__file__).parent / file).write_text(text)
