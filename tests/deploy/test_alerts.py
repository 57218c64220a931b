"""Each alert fires for its fault, alone, after its time and not before; and none while all is well."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy.monitoring.alerts import ALERTS
from tests.support.processes import CHECKOUT
from tests.support.promtool import promtool

RULES = CHECKOUT / "deploy" / "monitoring" / "healthsweep.rules.yml"

S = 'job="healthsweep-sweeper",instance="host:9108"'
A = 'job="healthsweep-api",instance="host:8080"'
R = f"healthsweep_requests_total{{{A}"
INSTALL = 'method="POST",route="/workspaces/{id}/plugins"'
BEAT = 'method="POST",route="/registry/heartbeat"'
LIST = 'method="GET",route="/workspaces/{id}/plugins"'
DOWNLOAD = 'method="GET",route="/workspaces/{id}/plugins/{name}/download"'

HEALTHY = {
    f"up{{{S}}}": "1x90",
    f"up{{{A}}}": "1x90",
    f"healthsweep_sweep_completed_timestamp_seconds{{{S}}}": "0+60x90",
    f"healthsweep_sweep_interval_seconds{{{S}}}": "15x90",
    f"healthsweep_sweep_duration_seconds_sum{{{S}}}": "0+0.1x90",
    f"healthsweep_sweep_duration_seconds_count{{{S}}}": "0+4x90",
    f"healthsweep_sweeps_failed_total{{{S}}}": "0x90",
    f"healthsweep_unknown_streaks{{{S}}}": "0x90",
    f"healthsweep_held{{{S}}}": "0x90",
    f"healthsweep_engine_up{{{S}}}": "1x90",
    f"healthsweep_database_up{{{S}}}": "1x90",
    f"healthsweep_database_up{{{A}}}": "1x90",
    f"healthsweep_contradiction_seconds{{{A}}}": "0x90",
    f'{R},{BEAT},status="200"}}': "0+600x90",
    f'{R},{BEAT},status="503"}}': "0x90",
    f'{R},{INSTALL},status="200"}}': "0+2x90",
    **{f'{R},{INSTALL},status="{status}"}}': "0x90" for status in (500, 502, 504, 507)},
    f'{R},{LIST},status="200"}}': "0+20x90",
    f'{R},{LIST},status="500"}}': "0x90",
    f'{R},{DOWNLOAD},status="200"}}': "0+2x90",
    f'{R},{INSTALL},status="503"}}': "0+2x90",  # a container that does not run is nobody's error
    f'{R},method="GET",route="/workspaces",status="200"}}': "0+20x90",
    f'{R},method="GET",route="/workspaces",status="500"}}': "0x90",
    f"process_start_time_seconds{{{S}}}": "7x90",
    f"process_start_time_seconds{{{A}}}": "7x90",
}
"""A sample each minute. The clock of promtool begins at 0."""

SWEEPER = tuple(series for series in HEALTHY if S in series)
API = tuple(series for series in HEALTHY if A in series)


class Fault(NamedTuple):
    """What is otherwise from minute 30 on; `fires` at minute `at`, and nothing at minute `before`."""

    name: str
    series: dict[str, str]
    fires: str | None
    before: float = 0
    at: float = 85


def gone(series: tuple[str, ...]) -> dict[str, str]:
    """The target does not answer any more."""
    return {
        each: "1x29 0x60" if each.startswith("up{") else f"{HEALTHY[each][:-2]}29 stale" for each in series
    }


FAULTS = [
    Fault(
        "the sweeper hangs",
        {f"healthsweep_sweep_completed_timestamp_seconds{{{S}}}": "0+60x30 1800x60"},
        "HealthsweepNotSweeping",
        before=32,
        at=34,
    ),
    Fault(
        "it has never swept",
        {f"healthsweep_sweep_completed_timestamp_seconds{{{S}}}": "0x90"},
        "HealthsweepNotSweeping",
        before=1,
        at=5,
    ),
    Fault("the sweeper is gone", gone(SWEEPER), "HealthsweepNotSweeping", before=30, at=32),
    Fault("nobody asks the sweeper", dict.fromkeys(SWEEPER, ""), "HealthsweepNotSweeping", at=5),
    Fault(
        "it sweeps once an hour, as it is told",
        {
            f"healthsweep_sweep_interval_seconds{{{S}}}": "3600x90",
            f"healthsweep_sweep_completed_timestamp_seconds{{{S}}}": "1x60 3600x30",
        },
        None,
    ),
    Fault(
        "a workspace shows online whose container does not run",
        {f"healthsweep_contradiction_seconds{{{A}}}": "0x30 0+60x60"},
        "HealthsweepContradiction",
        before=35,
        at=37,
    ),
    Fault(
        "until the next sweep", {f"healthsweep_contradiction_seconds{{{A}}}": "0 12 0 14 0x90"}, None, at=3
    ),
    Fault("the api is gone", gone(API), "HealthsweepApiGone", before=30, at=32),
    Fault("nobody asks the api", dict.fromkeys(API, ""), "HealthsweepApiGone", at=5),
    Fault(
        "the sweeper has no database",
        {f"healthsweep_database_up{{{S}}}": "1x29 0x60"},
        "HealthsweepDatabaseAway",
        before=31,
        at=33,
    ),
    Fault(
        "the api has no database",
        {f"healthsweep_database_up{{{A}}}": "1x29 0x60"},
        "HealthsweepDatabaseAway",
        before=31,
        at=33,
    ),
    Fault(
        "Docker is away, and so nothing is known",
        {
            f"healthsweep_engine_up{{{S}}}": "1x29 0x60",
            f"healthsweep_unknown_streaks{{{S}}}": "0x29 40x60",
        },
        "HealthsweepEngineAway",
        before=34,
        at=50,
    ),
    Fault("no workspace has a container", {f"healthsweep_engine_up{{{S}}}": " ".join(["NaN"] * 90)}, None),
    Fault("the wrong engine", {f"healthsweep_held{{{S}}}": "0x29 1x60"}, "HealthsweepHeld", before=31, at=33),
    Fault(
        "heartbeats get 503",
        {f'{R},{BEAT},status="503"}}': "0x30 0+5x60"},
        "HealthsweepHeartbeatsNotWritten",
        before=36,
        at=39,
    ),
    Fault("a heartbeat gets 503", {f'{R},{BEAT},status="503"}}': "0x30 1x60"}, None, at=34),
    Fault("two heartbeats get 503", {f'{R},{BEAT},status="503"}}': "0x30 1x2 2x60"}, None, at=37),
    Fault(
        "one container is sick",
        {f"healthsweep_unknown_streaks{{{S}}}": "0x29 1x60"},
        "HealthsweepStateUnknown",
        before=39,
        at=41,
    ),
    Fault(
        "installs fail",
        {f'{R},{INSTALL},status="500"}}': "0x30 0+1x60"},
        "HealthsweepInstallsFail",
        before=32,
        at=40,
    ),
    Fault(
        "installs fail, each in its way, for the first time",
        {f'{R},{INSTALL},status="{status}"}}': "0x30 1x60" for status in (500, 502, 504)},
        "HealthsweepInstallsFail",
        before=30,
        at=33,
    ),
    Fault("two installs fail", {f'{R},{INSTALL},status="500"}}': "0x30 1 2x60"}, None, at=34.5),
    Fault(
        "a route fails",
        {f'{R},method="GET",route="/workspaces",status="500"}}': "0x30 0+5x60"},
        "HealthsweepRequestsFail",
        before=34,
        at=38,
    ),
    Fault(
        "the list of a container's plugins fails",
        {f'{R},{LIST},status="500"}}': "0x30 0+5x60"},
        "HealthsweepRequestsFail",
        before=34,
        at=38,
    ),
    Fault("a forge is away", {f'{R},{DOWNLOAD},status="502"}}': "0x30 0+2x60"}, None),
    Fault(
        "a request fails",
        {f'{R},method="GET",route="/workspaces",status="500"}}': "0x30 1x60"},
        None,
        at=33,
    ),
    Fault(
        "a sweep fails",
        {f"healthsweep_sweeps_failed_total{{{S}}}": "0x30 1x60"},
        "HealthsweepSweepsFail",
        before=29,
        at=32,
    ),
    Fault(
        "sweeps are slow",
        {f"healthsweep_sweep_duration_seconds_sum{{{S}}}": "0+0.1x30 20+80x60"},
        "HealthsweepSweepsSlow",
        before=40,
        at=55,
    ),
    Fault(
        "the api dies again and again",
        {f"process_start_time_seconds{{{A}}}": "7x30 1800+60x60"},
        "HealthsweepRestarts",
        before=31,
        at=35,
    ),
    Fault("the api was restarted", {f"process_start_time_seconds{{{A}}}": "7x30 1800x60"}, None, at=31),
]


def case(fault: Fault) -> dict[str, Any]:
    """As promtool reads it."""
    series = HEALTHY | fault.series

    def firing(minute: float, alert: str | None) -> dict[str, Any]:
        expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
        query = 'count by (alertname) (ALERTS{alertstate="firing"})'
        return {"expr": query, "eval_time": f"{minute * 60:.0f}s", "exp_samples": expected}

    return {
        "name": fault.name,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items() if values],
        "promql_expr_test": [firing(fault.before, None), firing(fault.at, fault.fires)],
    }


def judged(tmp_path: Path, *cases: dict[str, Any], rules: Path = RULES) -> tuple[int, str]:
    """What promtool says of the rules."""
    file = tmp_path / "test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "30s", "tests": list(cases)})
    )
    return promtool("test", "rules", str(file))


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    status, said = judged(tmp_path, *(case(Fault("all is well", {}, None, at=at)) for at in (5, 40, 90)))
    assert status == 0, said


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_alarmed_by_its_own_alert(fault: Fault, tmp_path: Path) -> None:
    status, said = judged(tmp_path, case(fault))
    assert status == 0, said


def test_every_alert_has_its_fault() -> None:
    assert {fault.fires for fault in FAULTS if fault.fires} == {alert.name for alert in ALERTS}


def test_the_words_are_filled_in(tmp_path: Path) -> None:
    (rule,) = [alert.rule() for alert in ALERTS if alert.name == "HealthsweepContradiction"]
    annotations = rule["annotations"] | {
        "description": re.sub(r"\{\{.*\}\}", "7m 0s", rule["annotations"]["description"])
    }
    labels = {"severity": "critical", "job": "healthsweep-api", "instance": "host:8080"}
    told = case(next(fault for fault in FAULTS if fault.fires == rule["alert"])) | {
        "alert_rule_test": [
            {
                "eval_time": "38m",
                "alertname": rule["alert"],
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
            }
        ]
    }
    status, said = judged(tmp_path, told)
    assert status == 0, said


@pytest.mark.parametrize("alert", [alert.name for alert in ALERTS])
def test_an_alert_that_cannot_fire_is_found(alert: str, tmp_path: Path) -> None:
    broken = yaml.safe_load(RULES.read_text())
    for rule in broken["groups"][0]["rules"]:
        if rule["alert"] == alert:
            rule["expr"] = f"({rule['expr']}) and vector(1) > 2"
    (tmp_path / "broken.yml").write_text(yaml.safe_dump(broken))
    faults = [case(fault) for fault in FAULTS if fault.fires == alert]
    status, said = judged(tmp_path, *faults, rules=tmp_path / "broken.yml")
    assert status != 0
    assert said.count("got:") + said.count("got ") >= len(faults)
