"""A service's line as the journal keeps it: what `journalctl -o json` prints."""

import json
from datetime import datetime
from typing import Any

_PRIORITY = {"debug": "7", "info": "6", "warning": "4", "error": "3", "critical": "2"}
_BOOT, _MACHINE = "6f1f7b0c5f1e4b3c9a55d0a1c9b1a001", "0d5a7c3e9b1f4e2d8c6b4a2f0e8d6c4b"
_PIDS = {"sweeper": "812", "api": "811", "command": "2207"}


def as_journal(line: str, *, number: int) -> str:
    """`line` of the log, as systemd would have taken it from the service's standard output."""
    said: dict[str, Any] = json.loads(line)
    at = int(datetime.fromisoformat(said["ts"]).timestamp() * 1_000_000)
    unit = f"healthsweep-{said['process']}.service"
    entry = {
        "__CURSOR": f"s={_MACHINE};i={number:x};b={_BOOT};m={number:x};t={at:x};x={number:x}",
        "__REALTIME_TIMESTAMP": str(at),
        "__MONOTONIC_TIMESTAMP": str(at % 10**12),
        "_BOOT_ID": _BOOT,
        "_MACHINE_ID": _MACHINE,
        "_HOSTNAME": "agents",
        "_TRANSPORT": "stdout",
        "_SYSTEMD_UNIT": unit,
        "_COMM": "python",
        "_PID": _PIDS[said["process"]],
        "SYSLOG_FACILITY": "3",
        "SYSLOG_IDENTIFIER": f"healthsweep-{said['process']}",
        "PRIORITY": _PRIORITY[said["level"]],
        "MESSAGE": line,
    }
    return json.dumps(entry, ensure_ascii=False)
