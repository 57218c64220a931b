"""The dashboard: the state of things above, what changes them in the middle, the services below."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from prometheus_client.metrics import MetricWrapperBase

from deploy.monitoring.queries import documentation, name
from shared import metrics

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24
_HERE = '{instance=~"$instance"}'
_FAILED = f'{name(metrics.REQUESTS)}{{instance=~"$instance",status=~"5.."}}'
Thresholds = Literal["up", "zero", "none"]
"""What is good: 1, 0, or neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`queries` are pairs of a query and how its answers are called. `about` is what it is made of."""

    title: str
    about: Sequence[MetricWrapperBase]
    queries: Sequence[tuple[str, str]]
    kind: Literal["stat", "timeseries"] = "timeseries"
    unit: str = "short"
    good: Thresholds = "none"
    width: int = 8
    height: int = 8
    stacked: bool = False

    def model(self, number: int, *, x: int, y: int) -> dict[str, Any]:
        """As Grafana reads it."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": ". ".join(documentation(metric) for metric in self.about),
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
                for index, (query, legend) in enumerate(self.queries)
            ],
            "fieldConfig": {"defaults": self._field(), "overrides": []},
            "options": _STAT if self.kind == "stat" else _TIMESERIES,
        }

    def _field(self) -> dict[str, Any]:
        steps: dict[Thresholds, list[tuple[str, float | None]]] = {
            "up": [("red", None), ("green", 1)],
            "zero": [("green", None), ("red", 1)],
            "none": [("blue", None)],
        }
        thresholds = [{"color": color, "value": value} for color, value in steps[self.good]]
        field: dict[str, Any] = {
            "unit": self.unit,
            "min": 0,
            "thresholds": {"mode": "absolute", "steps": thresholds},
            "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
        }
        if self.kind == "timeseries":
            stacking = {"mode": "normal" if self.stacked else "none"}
            field["custom"] = {"fillOpacity": 30 if self.stacked else 0, "stacking": stacking}
        return field


_STAT = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "none"}
_TIMESERIES = {
    "legend": {"displayMode": "list", "placement": "bottom"},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _stat(
    title: str, metric: MetricWrapperBase, query: str, *, good: Thresholds = "none", unit: str = "short"
) -> Panel:
    return Panel(
        title=title,
        about=[metric],
        queries=[(query, "{{instance}}")],
        kind="stat",
        good=good,
        unit=unit,
        width=4,
        height=4,
    )


def _now(metric: MetricWrapperBase) -> str:
    return f"{name(metric)}{_HERE}"


def _rate(metric: MetricWrapperBase, *by: str) -> str:
    each = f"rate({name(metric)}{_HERE}[$__rate_interval])"
    return f"sum by ({', '.join(by)}) ({each})"


def _quantile(metric: MetricWrapperBase, quantile: float, *by: str) -> str:
    each = f"rate({name(metric)}_bucket{_HERE}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by ({', '.join((*by, 'le'))}) ({each}))"


def _process(title: str, query: str, unit: str) -> Panel:
    legend = "{{job}} {{instance}}"
    return Panel(title=title, about=[], queries=[(query, legend)], unit=unit)


PANELS = (
    _stat(
        "Since the last sweep",
        metrics.SWEEP_COMPLETED_AT,
        f"time() - {_now(metrics.SWEEP_COMPLETED_AT)}",
        unit="s",
    ),
    _stat("Docker", metrics.ENGINE_UP, _now(metrics.ENGINE_UP), good="up"),
    _stat("PostgreSQL", metrics.DATABASE_UP, _now(metrics.DATABASE_UP), good="up"),
    _stat("Brake", metrics.HELD, _now(metrics.HELD), good="zero"),
    _stat("Unknown", metrics.UNKNOWN_STREAKS, _now(metrics.UNKNOWN_STREAKS), good="zero"),
    _stat("Contradiction", metrics.CONTRADICTION, _now(metrics.CONTRADICTION), good="zero", unit="s"),
    Panel(
        title="Workspaces with a container",
        about=[metrics.WORKSPACES],
        queries=[(f"sum by (outcome, reason) ({_now(metrics.WORKSPACES)})", "{{outcome}} {{reason}}")],
        stacked=True,
    ),
    Panel(
        title="Status changes per minute",
        about=[metrics.TRANSITIONS, metrics.MARKS_SKIPPED],
        queries=[
            (f"60 * {_rate(metrics.TRANSITIONS, 'to', 'reason')}", "{{to}} {{reason}}"),
            (f"60 * {_rate(metrics.MARKS_SKIPPED, 'job')}", "given up"),
        ],
    ),
    Panel(
        title="How long a sweep works",
        about=[metrics.SWEEP_DURATION, metrics.SWEEP_INTERVAL],
        queries=[
            (_quantile(metrics.SWEEP_DURATION, 0.5), "half of them"),
            (_quantile(metrics.SWEEP_DURATION, 0.99), "99 of 100"),
            (f"max({_now(metrics.SWEEP_INTERVAL)})", "SWEEP_INTERVAL"),
        ],
        unit="s",
    ),
    Panel(
        title="Requests per second",
        about=[metrics.REQUESTS],
        queries=[(_rate(metrics.REQUESTS, "status"), "{{status}}")],
        unit="reqps",
        stacked=True,
    ),
    Panel(
        title="Requests that failed, per minute",
        about=[metrics.REQUESTS],
        queries=[
            (
                f"60 * sum by (method, route, status) (rate({_FAILED}[$__rate_interval]))",
                "{{status}} {{method}} {{route}}",
            )
        ],
    ),
    Panel(
        title="How long requests took, 99 of 100",
        about=[metrics.REQUEST_DURATION],
        queries=[(_quantile(metrics.REQUEST_DURATION, 0.99, "route"), "{{route}}")],
        unit="s",
    ),
    Panel(
        title="Questions about one container, per minute",
        about=[metrics.INSPECTS],
        queries=[(f"60 * {_rate(metrics.INSPECTS, 'job', 'instance')}", "{{job}} {{instance}}")],
    ),
    Panel(
        title="Sweeps that ended in an error, per minute",
        about=[metrics.SWEEPS_FAILED],
        queries=[(f"60 * {_rate(metrics.SWEEPS_FAILED, 'instance')}", "{{instance}}")],
    ),
    Panel(
        title="Versions that run",
        about=[metrics.BUILD],
        queries=[(f"count by (job, version) ({_now(metrics.BUILD)})", "{{job}} {{version}}")],
    ),
    _process("Memory", f"process_resident_memory_bytes{_HERE}", "bytes"),
    _process("Processor", f"rate(process_cpu_seconds_total{_HERE}[$__rate_interval])", "percentunit"),
    _process("Open files", f"process_open_fds{_HERE}", "short"),
)


def dashboard() -> dict[str, Any]:
    """The whole of it, ready to be imported."""
    return {
        "uid": "healthsweep",
        "title": "healthsweep",
        "tags": ["healthsweep"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": f"label_values({name(metrics.BUILD)}, instance)",
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": _laid_out(PANELS),
    }


def _laid_out(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Side by side while there is room, then below."""
    models, numbers = [], count(1)
    x = y = row_height = 0
    for panel in panels:
        if x + panel.width > _WIDTH:
            x, y, row_height = 0, y + row_height, 0
        models.append(panel.model(next(numbers), x=x, y=y))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return models
