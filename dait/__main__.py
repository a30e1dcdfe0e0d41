"""``python -m dait``, and the console script ``dait``."""

import sys

from dait.cli import main


def run() -> None:
    """Run the command of ``sys.argv`` and exit with its code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
