"""The commands that read what a search has found: `python analyze.py --help`. With a RUN alone: rank and plot."""

import sys

from gansearch.cli.analyze import main

if __name__ == "__main__":
    sys.exit(main())
