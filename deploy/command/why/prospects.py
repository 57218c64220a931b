"""What would change a status: the table of who may write which, read for one workspace."""

from deploy.command.why.case import Case

_CALLS = "a heartbeat of its agent: online, or degraded if it reports trouble"
_TROUBLE = "a heartbeat that tells of an error rate of 0.5 or more, or of `wedged`: degraded"
_RELIEF = "a heartbeat that tells of an error rate below 0.1, not of `wedged`: online"
_BY_WORD = {
    "provisioning": "a heartbeat of its agent: online; nothing that is seen of its container",
    "awaiting_agent": _CALLS,
    "paused": "`healthsweep workspace resume {id}`; nothing that is seen",
    "removed": "nothing",
}
_BY_ITS_WRITER = "nothing that is seen: only who wrote it, the platform or a person"


def prospects(case: Case) -> list[str]:
    """What would change it, a sentence each."""
    status = case.facts.status
    if case.kind == "elsewhere":
        return ["nothing that is seen on this host"]
    if case.kind == "unswept":
        return ["nothing that is seen: only who wrote it, or UNSWEPT_RUNTIMES without its runtime"]
    if case.kind == "unreadable" and status in ("online", "degraded", "offline"):
        return ["what that is depends on its runtime, which cannot be read"]
    if status in ("online", "degraded"):
        return [_end(case), _TROUBLE if status == "online" else _RELIEF]
    if status == "offline":
        grace_s = case.settings.online_grace
        runs = f"its container found running twice, {grace_s:g} s apart, not restarted in between: online"
        return [runs] * case.healed_by_container + [_CALLS] * case.healed_by_heartbeat
    return [_BY_WORD.get(status, _BY_ITS_WRITER).format(id=case.facts.id)]


def _end(case: Case) -> str:
    settings = case.settings
    if case.kind == "external":
        return f"no heartbeat for {settings.remote_liveness_stale_after:g} s: offline"
    return f"its container found not running twice, {settings.offline_grace:g} s apart: offline"
