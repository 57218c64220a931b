"""Every metric, defined once: the endpoints, the alert rules and the dashboard all read this list.

A process shows only what it sets: in the api's metrics a sweep that never ended would be read as one.
"""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

SWEEPER, API = CollectorRegistry(), CollectorRegistry()
"""What each process shows, with what the operating system knows of it."""

for registry in (SWEEPER, API):
    ProcessCollector(registry=registry)

SWEEP_DURATION = Histogram(
    "healthsweep_sweep_duration_seconds",
    "How long a sweep worked, without the time that its graces waited",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
    registry=SWEEPER,
)
SWEEP_COMPLETED_AT = Gauge(
    "healthsweep_sweep_completed_timestamp_seconds",
    "When the newest sweep ended, so that time() minus this is its age; 0 before the first",
    registry=SWEEPER,
)
SWEEP_INTERVAL = Gauge(
    "healthsweep_sweep_interval_seconds", "From one sweep to the next: SWEEP_INTERVAL", registry=SWEEPER
)
SWEEPS_FAILED = Counter("healthsweep_sweeps_failed_total", "Sweeps that ended in an error", registry=SWEEPER)
WORKSPACES = Gauge(
    "healthsweep_workspaces",
    "Container-backed workspaces by what the newest sweep saw: running, not_running, unknown",
    ["outcome", "reason"],
    registry=SWEEPER,
)
MARKS_SKIPPED = Counter(
    "healthsweep_marks_skipped_total",
    "Status changes given up because the row changed meanwhile",
    registry=SWEEPER,
)
UNKNOWN_STREAKS = Gauge(
    "healthsweep_unknown_streaks",
    "Workspaces that Docker could not tell about when last asked",
    registry=SWEEPER,
)
HELD = Gauge(
    "healthsweep_held", "1 while the brake holds back offline marks: too many at once", registry=SWEEPER
)
ENGINE_UP = Gauge(
    "healthsweep_engine_up",
    "1 if the Docker Engine answered the newest list, 0 if not, NaN while there is nobody to ask about",
    registry=SWEEPER,
)
ENGINE_UP.set(math.nan)

REQUESTS = Counter(
    "healthsweep_requests_total", "Requests answered", ["method", "route", "status"], registry=API
)
REQUEST_DURATION = Histogram(
    "healthsweep_request_duration_seconds",
    "How long requests took",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10, 60),
    registry=API,
)
CONTRADICTION = Gauge(
    "healthsweep_contradiction_seconds",
    "For how long a workspace was seen to show online whose container a request had found not running: "
    "the longest, 0 without any; it stands still while nobody can tell",
    registry=API,
)

INSPECTS = Counter(
    "healthsweep_inspects_total", "Times that Docker was asked about one workspace", registry=None
)
TRANSITIONS = Counter(
    "healthsweep_transitions_total", "Status changes that were written", ["to", "reason"], registry=None
)
DATABASE_UP = Gauge(
    "healthsweep_database_up", "1 if PostgreSQL answered and could be written to", registry=None
)
BUILD = Info("healthsweep_build", "The version that runs", registry=None)

for metric in (INSPECTS, TRANSITIONS, DATABASE_UP, BUILD):
    SWEEPER.register(metric)
    API.register(metric)
