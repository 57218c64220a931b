"""All incidents of a log, in the order in which they are told."""

from deploy.command.triage.callers import caller_incidents
from deploy.command.triage.docker import docker_incidents
from deploy.command.triage.facts import Facts
from deploy.command.triage.incident import Fault, Incident
from deploy.command.triage.outages import brake_incidents, database_incidents, windows
from deploy.command.triage.services import service_incidents
from deploy.command.triage.workspaces import workspace_incidents

_ORDER = {fault: number for number, fault in enumerate(Fault)}


def incidents(facts: Facts) -> list[Incident]:
    """What happened, to whom, whose fault: by fault, then by kind, the earliest first."""
    engine = windows(facts, "engine", opening="engine.unreachable", closing="engine.recovered")
    database = windows(facts, "database", opening="database.unreachable", closing="database.recovered")
    found = [
        *docker_incidents(facts, engine),
        *database_incidents(facts, database),
        *brake_incidents(facts),
        *service_incidents(facts, engine, database),
        *workspace_incidents(facts, engine),
        *caller_incidents(facts),
    ]
    return sorted(found, key=lambda i: (_ORDER[i.fault], i.began, i.kind, i.workspaces))


def in_a_sentence(found: list[Incident]) -> str:
    """How many incidents there were and whose."""
    if not found:
        return "Nothing is wrong in these lines."
    faults = list(dict.fromkeys(incident.fault for incident in found))
    open_ = sum(incident.ended is None for incident in found)
    still = f" {open_} still open." if open_ else ""
    if len(found) == 1:
        return f"1 incident, {found[0].fault.whose}.{' It is still open.' if open_ else ''}"
    parts = [f"{sum(i.fault == fault for i in found)} {fault.whose}" for fault in faults]
    return f"{len(found)} incidents: {', '.join(parts)}.{still}"
