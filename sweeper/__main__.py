"""`python -m sweeper`."""

import sys

from shared.process import run
from sweeper.daemon import serve

if __name__ == "__main__":
    sys.exit(run("sweeper", serve))
