"""``python -m dait``."""

import sys

from dait.cli import main

if __name__ == "__main__":
    sys.exit(main())
