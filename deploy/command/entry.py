"""Where `healthsweep` begins. `triage` is not made to wait for what the other verbs need to be imported."""

import importlib
import sys


def main() -> int:
    """The exit status of the verb."""
    if sys.argv[1:2] == ["triage"]:
        status: int = importlib.import_module("deploy.command.triage.run").main(sys.argv[2:])
    else:
        status = importlib.import_module("deploy.command.__main__").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
