"""Start, resume and watch searches: `python run_search.py --help`."""

import sys

from gansearch.cli.search import main

if __name__ == "__main__":
    sys.exit(main())
