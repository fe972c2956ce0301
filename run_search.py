"""Every command: `python run_search.py --help`. Without an argument: start the default search."""

import sys

from gansearch.cli.search import main

if __name__ == "__main__":
    sys.exit(main())
