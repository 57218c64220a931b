"""`healthsweep` on a host: the settings of its services, and the user that they run as.

So it sees what they see: the database by peer login, Docker's socket by the group. `triage` does not come
here: it needs neither.
"""

import os
import pwd
import sys
from grp import getgrnam

from deploy import layout
from deploy.command.__main__ import main as command
from deploy.command.__main__ import parser
from deploy.host.configuration import variables
from shared.errors import HealthsweepError


def main() -> int:
    """The exit status of the command."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if os.geteuid() != 0:
        parser().parse_args()  # which answers --help, and mistakes
        return _refuse(f"the secrets in {layout.CREDENTIALS} are root's: sudo healthsweep {verb}")
    try:
        os.environ.update(variables(os.environ))
    except (HealthsweepError, OSError) as problem:
        return _refuse(str(problem))
    _become(layout.USER)
    return command()


def _become(name: str) -> None:
    user = pwd.getpwnam(name)
    os.initgroups(name, user.pw_gid)
    os.setgroups([*os.getgroups(), getgrnam("systemd-journal").gr_gid])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=name, LOGNAME=name)


def _refuse(sentence: str) -> int:
    print(f"healthsweep: {sentence}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
