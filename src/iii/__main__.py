"""`python -m iii` is `iii`."""

import sys

from iii.cli import main

if __name__ == "__main__":
    sys.exit(main())
