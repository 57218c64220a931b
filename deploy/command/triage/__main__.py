"""`python -m deploy.command.triage`: the verb alone, without what the other verbs need."""

import sys

from deploy.command.triage.run import main

if __name__ == "__main__":
    sys.exit(main())
