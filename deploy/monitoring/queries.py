"""How a metric is called in a query, and what it tells."""

from prometheus_client.metrics import MetricWrapperBase

SWEEPER_JOB, API_JOB = "healthsweep-sweeper", "healthsweep-api"
"""The names of the two jobs in the configuration of Prometheus, which `up` carries."""


def name(metric: MetricWrapperBase) -> str:
    """What the metric is called where it is exposed; a histogram without `_bucket`, `_sum`, `_count`."""
    (family,) = metric.describe()
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return f"{family.name}{suffix}"


def documentation(metric: MetricWrapperBase) -> str:
    """What the metric tells, one sentence without a full stop."""
    (family,) = metric.describe()
    return str(family.documentation)
