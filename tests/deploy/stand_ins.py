"""`python -m tests.deploy.stand_ins`: what `bash deploy/run` runs, with stand-ins for the services."""

import sys

from deploy.plan import module
from deploy.supervisor import main

if __name__ == "__main__":
    sys.exit(main((module("tests.deploy.service", "sweeper"), module("tests.deploy.service", "api"))))
