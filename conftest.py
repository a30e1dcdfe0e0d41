"""Where Python is told to write no bytecode, it goes to a folder apart.

Tests start many processes, and each would spend some ten seconds on compiling PyTorch anew.
"""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

if sys.dont_write_bytecode:
    folder = Path(tempfile.gettempdir()) / f"bytecode-of-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(folder)
    # The processes that run the tests, and those that tests start, do as this one.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
