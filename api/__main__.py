"""`python -m api`."""

import sys

from api.app import serve
from shared.process import run

if __name__ == "__main__":
    sys.exit(run("api", serve))
