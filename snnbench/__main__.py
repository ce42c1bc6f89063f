"""``python -m snnbench``: the command line, for an interpreter whose scripts are not on the path."""

import sys

from snnbench.cli import main

if __name__ == "__main__":  # processes of a pool import this file, too
    sys.exit(main())
