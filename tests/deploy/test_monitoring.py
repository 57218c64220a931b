"""The rules and the dashboard as they are shipped: made from the metrics' definition, and true to it."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from deploy.handbook import Entry
from deploy.monitoring.__main__ import made
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.queries import API_JOB, SWEEPER_JOB, name
from shared import metrics
from tests.support.api import free_port, running_api
from tests.support.daemon import FakeDaemon, State
from tests.support.processes import CHECKOUT
from tests.support.promtool import promtool
from tests.sweeper.service import add_with_container, quick_sweeper

MONITORING = CHECKOUT / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "healthsweep.rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "healthsweep-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize("file", sorted(made()))
def test_it_is_what_would_be_made_anew(file: str) -> None:
    assert (MONITORING / file).read_text() == made()[file], "run `.venv/bin/python -m deploy.monitoring`"


def exposed(registry: CollectorRegistry) -> set[str]:
    """Every name that a query of this process can ask for."""
    text = generate_latest(registry).decode()
    families = list(text_string_to_metric_families(text))
    names = {sample.name for family in families for sample in family.samples}
    for family in families:  # one with labels has no sample before the first is seen
        if family.type == "histogram":
            names |= {f"{family.name}{suffix}" for suffix in ("_bucket", "_sum", "_count")}
        names.add(f"{family.name}_total" if family.type == "counter" else family.name)
    return names


def asked(query: str) -> set[str]:
    """The metrics that the query names."""
    return set(re.findall(r"\b(?:healthsweep|process)_[a-z_]+\b", re.sub(r'"[^"]*"', "", query)))


def test_every_metric_in_them_exists() -> None:
    known = exposed(metrics.SWEEPER) | exposed(metrics.API)
    for query in (*QUERIES, *(rule["expr"] for rule in RULES)):
        assert asked(query) <= known, query
        assert asked(query) or "up{" in query, query


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    ours = {name(metric) for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)}
    shown = {re.sub(r"_bucket$", "", metric) for query in QUERIES for metric in asked(query)}
    assert ours <= shown
    assert len(ours) >= 16


def test_promtool_takes_the_rules() -> None:
    status, said = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", str(MONITORING / "healthsweep.rules.yml")
    )
    assert (status, f"{len(ALERTS)} rules found" in said) == (0, True), said


def test_promtool_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    parsed = [query.replace("$__rate_interval", "5m") for query in QUERIES]
    recording = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(parsed)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recording}]}))
    status, said = promtool("check", "rules", str(tmp_path / "panels.yml"))
    assert status == 0, said


def test_the_panels_have_their_places() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    for panel in PANELS:
        assert panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_what_the_queries_depend_on_is_a_variable_of_the_dashboard() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval", "__all"}
    assert used == variables


def test_each_alert_says_what_it_is_and_where_to_read_on() -> None:
    for rule in RULES:
        notes = rule["annotations"]
        assert notes["summary"]
        assert len(notes["description"].split()) > 5
        page, _, anchor = notes["handbook"].partition("#")
        assert (page, anchor in set(Entry)) == ("docs/handbook/troubleshooting.md", True)
        assert rule["labels"]["severity"] in ("critical", "warning")


async def test_promtool_takes_the_metrics_of_both_processes(
    processes: None, fake_daemon: FakeDaemon, database_url: str, short_directory: Path
) -> None:
    await add_with_container(database_url, fake_daemon, State("exited"))
    port = free_port()
    environment = {"DATABASE_URL": database_url, "DOCKER_HOST": fake_daemon.host}
    async with (
        running_api(environment, short_directory) as api,
        quick_sweeper(database_url, fake_daemon.host, METRICS_PORT=str(port)) as sweeper,
        aiohttp.ClientSession() as client,
    ):
        await api.call("GET", "/health")
        await sweeper.event("workspace.marked_offline")
        await sweeper.sweeps(1)
        for url in (api.url, f"http://127.0.0.1:{port}"):
            async with client.get(f"{url}/metrics") as answer:
                text = await answer.text()
            assert "healthsweep_transitions_total" in text
            assert "process_start_time_seconds" in text
            assert promtool("check", "metrics", given=text) == (0, "")


def page(file: str) -> str:
    return (CHECKOUT / "docs" / "handbook" / file).read_text()


def test_the_handbook_explains_each_alert() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| .+ \| \[.+\]\(troubleshooting\.md#(\S+)\) \|$",
        page("monitoring.md"),
        re.MULTILINE,
    )
    assert rows == [(alert.name, alert.severity, str(alert.entry)) for alert in ALERTS]


def test_prometheus_takes_the_handbooks_configuration(tmp_path: Path) -> None:
    (configuration,) = re.findall(r"```yaml\n(.*?)```", page("monitoring.md"), re.DOTALL)
    jobs = {job["job_name"] for job in yaml.safe_load(configuration)["scrape_configs"]}
    assert jobs == {SWEEPER_JOB, API_JOB}
    rules = re.findall(r"/\S+healthsweep\.rules\.yml", configuration)
    assert rules
    (tmp_path / "prometheus.yml").write_text(
        configuration.replace(rules[0], str(MONITORING / "healthsweep.rules.yml"))
    )
    status, said = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert (status, "1 rule files found" in said) == (0, True), said
