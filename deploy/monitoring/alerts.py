"""The alert rules, the most urgent first. Severity `critical` is worth waking somebody, `warning` is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.handbook import Entry, where
from deploy.monitoring.queries import API_JOB, SWEEPER_JOB, name
from shared import metrics

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_REQUESTS = name(metrics.REQUESTS)
_INSTALLS = 'method="POST",route="/workspaces/{id}/plugins"'
_UNWRITTEN = 'route="/registry/heartbeat",status="503"'
_FAILED = 'status=~"5..",status!="503"'
"""A 503 says that a container, Docker or PostgreSQL is away: they have alerts of their own."""
_OUR_FAULT = 'status="500"'
"""502 and 504 are a forge's, 507 is a full disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """It fires when `query` has had an answer for the time `lasting`, and `entry` says what to do."""

    name: str
    severity: Literal["critical", "warning"]
    query: str
    lasting: str
    summary: str
    description: str
    entry: Entry

    def rule(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.query,
            "for": self.lasting,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "handbook": str(Path(where(self.entry)).relative_to(_CHECKOUT)),
            },
        }


ALERTS = (
    Alert(
        name="HealthsweepNotSweeping",
        severity="critical",
        query=(
            f"time() - {name(metrics.SWEEP_COMPLETED_AT)} > 60 + 4 * {name(metrics.SWEEP_INTERVAL)}"
            f' or up{{job="{SWEEPER_JOB}"}} == 0 or absent(up{{job="{SWEEPER_JOB}"}})'
        ),
        lasting="1m",
        summary="The sweeper does not sweep",
        description="No status of a workspace is kept true: no sweep has ended for a long time, or the "
        "sweeper is gone. `systemctl status healthsweep-sweeper` says what it waits for.",
        entry=Entry.SWEEPER_STOPPED,
    ),
    Alert(
        name="HealthsweepContradiction",
        severity="critical",
        query=f"{name(metrics.CONTRADICTION)} > 300",
        lasting="0m",
        summary="Requests get 503 container_not_running, but the workspace shows online",
        description="For {{ $value | humanizeDuration }} a workspace has shown online whose container does "
        "not run. The api's log names it: container.not_running. `healthsweep why` says more.",
        entry=Entry.PLUGIN_INSTALL_503,
    ),
    Alert(
        name="HealthsweepApiGone",
        severity="critical",
        query=f'up{{job="{API_JOB}"}} == 0 or absent(up{{job="{API_JOB}"}})',
        lasting="1m",
        summary="The api does not answer",
        description="Neither plugin requests nor heartbeats get an answer. "
        "`systemctl status healthsweep-api` says why.",
        entry=Entry.SETTINGS,
    ),
    Alert(
        name="HealthsweepDatabaseAway",
        severity="critical",
        query=f"{name(metrics.DATABASE_UP)} == 0",
        lasting="2m",
        summary="PostgreSQL cannot be asked or written to",
        description="{{ $labels.job }} has no database: nothing is swept, and requests get 503.",
        entry=Entry.DATABASE_AWAY,
    ),
    Alert(
        name="HealthsweepEngineAway",
        severity="critical",
        query=f"{name(metrics.ENGINE_UP)} == 0",
        lasting="5m",
        summary="Docker does not answer",
        description="Until it does, no status of a workspace with a container changes, and plugin requests "
        "get 503.",
        entry=Entry.ENGINE_AWAY,
    ),
    Alert(
        name="HealthsweepHeld",
        severity="critical",
        query=f"{name(metrics.HELD)} == 1",
        lasting="2m",
        summary="The brake holds: nothing is marked offline",
        description="None of the fleet's containers is there, so this is probably the wrong engine.",
        entry=Entry.SWEEP_HELD,
    ),
    Alert(
        name="HealthsweepHeartbeatsNotWritten",
        severity="warning",
        query=f"sum without (method, route, status) (rate({_REQUESTS}{{{_UNWRITTEN}}}[3m])) > 0",
        lasting="7m",  # two that come alone, one after the other, are seen for less
        summary="Heartbeats are not written",
        description="Agents are told to come again: the database is away, or another session holds rows.",
        entry=Entry.DATABASE_AWAY,
    ),
    Alert(
        name="HealthsweepStateUnknown",
        severity="warning",
        query=f"{name(metrics.UNKNOWN_STREAKS)} > 0 and {name(metrics.ENGINE_UP)} == 1",
        lasting="10m",
        summary="Docker answers, but not about every container",
        description="Docker cannot tell about {{ $value }} of the workspaces. Their status stays as it is.",
        entry=Entry.STATE_UNKNOWN,
    ),
    Alert(
        name="HealthsweepInstallsFail",
        severity="warning",
        query=(
            "sum without (method, route, status)"
            f" (increase({_REQUESTS}{{{_INSTALLS},{_FAILED}}}[30m])) > 2.5"  # Prometheus extrapolates
        ),
        lasting="0m",
        summary="Plugin installs fail",
        description="{{ $value | humanize }} within half an hour, though the containers run. The api's log "
        "says at which step: plugin.install_failed.",
        entry=Entry.INSTALL_FAILED,
    ),
    Alert(
        name="HealthsweepRequestsFail",
        severity="warning",
        query=(
            f"sum without (status) (rate({_REQUESTS}{{{_OUR_FAULT}}}[5m])"
            f" unless rate({_REQUESTS}{{{_INSTALLS}}}[5m]))"
            f" / sum without (status) (rate({_REQUESTS}[5m])) > 0.05"
        ),
        lasting="5m",
        summary="Requests end in an error of ours",
        description="{{ $value | humanizePercentage }} of {{ $labels.method }} {{ $labels.route }}. "
        "The api's log has request.failed, with the exception.",
        entry=Entry.BUG,
    ),
    Alert(
        name="HealthsweepSweepsFail",
        severity="warning",
        query=f"increase({name(metrics.SWEEPS_FAILED)}[15m]) > 0",
        lasting="0m",
        summary="Sweeps end in an error of ours",
        description="The sweeper's log has sweep.failed, with the exception.",
        entry=Entry.BUG,
    ),
    Alert(
        name="HealthsweepSweepsSlow",
        severity="warning",
        query=(
            f"rate({name(metrics.SWEEP_DURATION)}_sum[10m]) / rate({name(metrics.SWEEP_DURATION)}_count[10m])"
            f" > {name(metrics.SWEEP_INTERVAL)}"
        ),
        lasting="10m",
        summary="Sweeps take longer than SWEEP_INTERVAL",
        description="{{ $value | humanizeDuration }} each: marks come late.",
        entry=Entry.SWEEPS_SLOW,
    ),
    Alert(
        name="HealthsweepRestarts",
        severity="warning",
        query=f'changes(process_start_time_seconds{{job=~"{SWEEPER_JOB}|{API_JOB}"}}[15m]) > 2',
        lasting="0m",
        summary="A service is started again and again",
        description="{{ $labels.job }} was started {{ $value }} times within 15 minutes. Its log has "
        "process.crashed, or the watchdog ended it.",
        entry=Entry.BUG,
    ),
)


def rules() -> dict[str, Any]:
    """The file of rules."""
    return {"groups": [{"name": "healthsweep", "rules": [alert.rule() for alert in ALERTS]}]}
