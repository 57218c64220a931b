"""Every metric, defined once: the endpoints, the alert rules and the dashboard all read this list."""

from prometheus_client import Counter, Gauge, Histogram, Info

SWEEP_DURATION = Histogram(
    "healthsweep_sweep_duration_seconds",
    "How long a sweep worked, without the time that its graces waited",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
SWEEP_COMPLETED_AT = Gauge(
    "healthsweep_sweep_completed_timestamp_seconds",
    "When the newest sweep ended, so that time() minus this is its age",
)
SWEEPS_FAILED = Counter("healthsweep_sweeps_failed_total", "Sweeps that ended in an error")
INSPECTS = Counter("healthsweep_inspects_total", "Times that Docker was asked about one workspace")
WORKSPACES = Gauge(
    "healthsweep_workspaces",
    "Container-backed workspaces by what the newest sweep saw: running, not_running, unknown",
    ["outcome", "reason"],
)
TRANSITIONS = Counter("healthsweep_transitions_total", "Status changes that were written", ["to", "reason"])
MARKS_SKIPPED = Counter(
    "healthsweep_marks_skipped_total", "Status changes given up because the row changed meanwhile"
)
UNKNOWN_STREAKS = Gauge(
    "healthsweep_unknown_streaks", "Workspaces that Docker could not tell about when last asked"
)
HELD = Gauge("healthsweep_held", "1 while the brake holds back offline marks: too many at once")
ENGINE_UP = Gauge("healthsweep_engine_up", "1 if the Docker Engine answered the newest list")
DATABASE_UP = Gauge("healthsweep_database_up", "1 if PostgreSQL answered and could be written to")
BUILD = Info("healthsweep_build", "The version that runs")

REQUESTS = Counter("healthsweep_requests_total", "Requests answered", ["method", "route", "status"])
REQUEST_DURATION = Histogram(
    "healthsweep_request_duration_seconds",
    "How long requests took",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10, 60),
)
