"""Where everything lies on a host. The units and docs/handbook/install.md say the same."""

from pathlib import Path

USER = "healthsweep"

PROGRAMS = Path("/opt/healthsweep")
VERSIONS = PROGRAMS / "versions"
CURRENT = PROGRAMS / "current"
COMMAND = Path("/usr/local/bin/healthsweep")

SETTINGS = Path("/etc/healthsweep/healthsweep.env")
CREDENTIALS = Path("/etc/healthsweep/credentials")
STATE = Path("/var/lib/healthsweep")

UNITS = Path("/etc/systemd/system")
SOCKET = "healthsweep-api.socket"
SERVICES = ("healthsweep-sweeper.service", "healthsweep-api.service")
TARGET = "healthsweep.target"
