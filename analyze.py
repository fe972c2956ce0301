"""Ranks, plots and exports what a search has found: `python analyze.py --help`."""

import sys

from gansearch.cli.analyze import main

if __name__ == "__main__":
    sys.exit(main())
