"""A command of ``python -m dait`` in a process of its own, for a job in the background.

Another process: writing ONNX keeps Python busy, and the page would not answer meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress

from app.config import PROJECT
from dait.errors import UserError
from dait.events import Emit, Note
from dait.storage import paths

LONGEST_SECONDS = 1800.0
"""A command that takes longer is ended."""
GRACE_SECONDS = 10.0
"""To undo what is half done, as a repository that was made for an upload that is cancelled."""


def run_command(words: Sequence[str], emit: Emit) -> str:
    """Run it, with a note for every line on its standard error; its standard output.

    Raises ``UserError`` with its last line where it fails. Whatever ``emit`` raises ends it.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dait", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=PROJECT,
            env={**paths.environment(), "PYTHONUNBUFFERED": "1"},
        )
        limit = threading.Timer(LONGEST_SECONDS, process.kill)
        limit.start()
        last = ""
        try:
            assert process.stderr is not None  # it is a pipe
            for line in process.stderr:
                if line.strip():
                    last = line.strip()
                    emit(Note(last))
            code = process.wait()
        finally:
            limit.cancel()
            _end(process)
        if code:
            said = last.removeprefix("dait: ")
            raise UserError(said or f"It ended with code {code} before it had finished.")
        output.seek(0)
        return output.read().strip()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    process.kill()
    process.wait()
