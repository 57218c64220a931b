"""`python -m sweeper`."""

import sys

from sweeper.daemon import main

if __name__ == "__main__":
    sys.exit(main())
