"""`python -m tests.deploy.service NAME`: stands in for a service, and says in plain lines what happens to it.

STAND_IN_NAME makes it worse: it `dies` once it was ready, is `never-ready`, `refuses` its settings or is
`deaf` to signals.
"""

import os
import signal
import sys
import time

from shared.systemd import notify


def main() -> int:
    name = sys.argv[1]
    behaviour = os.environ.get(f"STAND_IN_{name.upper()}", "")
    print(f"{name} started {os.getpid()}", flush=True)
    if behaviour in ("never-ready", "refuses"):
        return 78 if behaviour == "refuses" else 3
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    notify("READY=1")
    if behaviour == "dies":
        return 3
    while behaviour == "deaf":
        time.sleep(1)
    received = signal.Signals(signal.sigwait(signals))
    print(f"{name} stopped by {received.name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
