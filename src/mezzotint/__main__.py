"""`python -m mezzotint`."""

import sys

from mezzotint.cli import main

if __name__ == "__main__":
    sys.exit(main())
