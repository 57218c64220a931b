"""`python -m deploy.demo`: four workspaces to play with, three of them with real containers.

`bash deploy/run --demo` comes here when all else is ready.
A second run on the same home finds the same workspaces and starts what has stopped.
"""

import http.client
import json
import os
import shlex
import subprocess
import sys
from typing import Any
from uuid import UUID

from deploy.children import say, tied
from deploy.images import import_image, start_container
from deploy.places import StartError
from shared.ids import container_name

_CONTAINERS = ("demo-1", "demo-2", "demo-3")
_EXTERNAL = "demo-external"


def main() -> int:
    """Make the demo; answers the exit status."""
    host = os.environ["DOCKER_HOST"]
    try:
        there: dict[str, str] = {row["name"]: row["id"] for row in _command("status")}
        import_image(host)
        for name in _CONTAINERS:
            there[name] = there.get(name) or _command("workspace", "add", name)["id"]
            start_container(host, container_name(UUID(there[name])))
        if _EXTERNAL not in there:
            _command("workspace", "add", _EXTERNAL, "--runtime", "external")
    except (StartError, OSError, http.client.HTTPException) as problem:
        sys.stderr.write(f"healthsweep: the demo cannot be made: {problem}\n")
        return 1
    docker = f"docker -H {shlex.quote(host)}"
    container = container_name(UUID(there[_CONTAINERS[0]]))
    say(
        "\n"
        "Three workspaces with a container each, and an external one that has not called yet.\n"
        "Watch them in a second terminal:\n"
        "    .venv/bin/healthsweep status --watch\n"
        f"and in a third one turn {_CONTAINERS[0]} offline, and online again:\n"
        f"    {docker} kill {container}\n"
        f"    {docker} start {container}\n"
    )
    return 0


def _command(*arguments: str) -> Any:
    """What `healthsweep ... --json` answers."""
    command = tied([sys.executable, "-m", "deploy.command", *arguments, "--json"])
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        raise StartError(f"`healthsweep {' '.join(arguments)}` ended with status {ended.returncode}")
    return json.loads(ended.stdout)


if __name__ == "__main__":
    sys.exit(main())
