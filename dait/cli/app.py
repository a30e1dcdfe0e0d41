"""``python -m dait app``: start the page, as ``python app.py`` does in a clone."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec

from dait.errors import UserError
from dait.storage.paths import PROJECT

START = "import sys; sys.path[0] = sys.argv.pop(1); from app.launch import main; main()"
"""From the folder that holds the package: a file ``app.py`` where the user stands is not ours."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``app``."""
    parser.description = (
        "Start the app and serve it until it is interrupted. Its port is GRADIO_SERVER_PORT "
        "(7860); studies are read from and written to DAIT_RUNS."
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Become the app: the process keeps its number, and takes signals as the app does."""
    if find_spec("gradio") is None or not (PROJECT / "app" / "launch.py").is_file():
        raise UserError("The app is not installed here. Install dait-studio, or run it in a clone.")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", START, str(PROJECT)])
