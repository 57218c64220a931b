"""What runs when `bash deploy/run` runs: what the settings ask for, and what they leave to us."""

import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from api.app import DRAIN_S
from api.turns import LEAVING_S
from deploy.children import Program, say, tied
from deploy.engine import PrivateEngine
from deploy.home import kept_token
from deploy.images import answers
from deploy.places import StartError
from deploy.postgres import Cluster
from shared.settings import Settings
from shared.workspaces import local_url


def module(name: str, *arguments: str, once: bool = False, stop_seconds: float = 10.0) -> Program:
    """`python -m name` as a program."""
    command = [sys.executable, "-m", name, *arguments]
    return Program(
        name=arguments[0] if arguments else name,
        command=lambda: tied(command),
        once=once,
        stop_seconds=stop_seconds,
    )


PRODUCT = (
    module("deploy.command", "migrate", "--wait", once=True),
    module("sweeper"),
    module("api", stop_seconds=DRAIN_S + LEAVING_S + 10),  # an install in flight ends or rolls back
)
"""The processes of the product, in the order in which they start."""


class Plan(NamedTuple):
    """What to run, in this order, and the variables that all of it shares."""

    programs: tuple[Program, ...]
    afterwards: tuple[Program, ...]
    variables: dict[str, str]
    url: str


def plan(settings: Settings, *, demo: bool, product: Sequence[Program]) -> Plan:
    """Prepare what `settings` need and are without. Raises StartError."""
    home = settings.healthsweep_home
    foundations: list[Program] = []
    database_url, docker_host = settings.database_url, settings.docker_host
    if database_url is None:
        cluster = Cluster(home / "postgres")
        cluster.prepare()
        if cluster.note:
            say(f"healthsweep: {cluster.note}")
        database_url = cluster.url
        foundations.append(_postgres(cluster))
    if demo and not answers(docker_host, seconds=3.0):
        engine = PrivateEngine(home / "engine")
        try:
            engine.prepare()
        except StartError as problem:
            raise StartError(f"no Docker Engine answers at {docker_host}, and {problem}") from problem
        say(f"healthsweep: no Docker Engine answers at {docker_host}: starting one at {engine.host}")
        docker_host = engine.host
        foundations.append(_engine(engine))
    variables = {
        "DATABASE_URL": database_url,
        "DOCKER_HOST": docker_host,
        "ADMIN_TOKEN": settings.admin_token or kept_token(home),
        "PORT": str(settings.port),
        "METRICS_PORT": str(settings.metrics_port),
    }
    return Plan(
        programs=(*foundations, *product),
        afterwards=(module("deploy.demo", once=True),) if demo else (),
        variables=variables,
        url=local_url(settings),
    )


def _postgres(cluster: Cluster) -> Program:
    # PostgreSQL's word for a shutdown that does not wait for its clients is SIGINT
    return Program(
        name="postgres",
        command=lambda: cluster.command,
        is_ready=cluster.is_ready,
        stop_signal=signal.SIGINT,
        stop_seconds=30,
    )


def _engine(engine: PrivateEngine) -> Program:
    return Program(
        name="dockerd",
        command=lambda: engine.command,
        is_ready=engine.is_ready,
        stop_seconds=30,
        log=engine.log,
        clean_up=engine.clean_up,
    )
