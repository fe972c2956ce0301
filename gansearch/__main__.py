"""`python -m gansearch`: the same as the program `gansearch`."""

import sys

from gansearch.cli.search import main

if __name__ == "__main__":
    sys.exit(main())
