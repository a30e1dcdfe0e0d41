"""Two processes and one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dait.errors import UserError
from dait.runs.folder import RunFolder
from dait.study.lock import LOCK, locked_folder

HOLDER = """
import sys
from pathlib import Path
from dait.runs.folder import RunFolder
from dait.study.lock import locked_folder
folder = RunFolder(Path(sys.argv[1]))
with locked_folder(folder):
    folder.start_work(state="training")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_in_work_is_refused_until_its_process_is_gone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=f"is being trained by process {holder.pid}"),
            locked_folder(folder),
        ):
            raise AssertionError("two processes in one folder")
        assert folder.state() == "training"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locked_folder(folder):
            assert folder.state() == "lost"
            folder.start_work(state="training")
            assert folder.state() == "training" and folder.status()["pid"] == os.getpid()
    finally:
        holder.kill()
        holder.communicate()
    assert not (folder.path / LOCK).exists()


def test_two_threads_of_one_process_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked_folder(RunFolder(tmp_path)):
        with pytest.raises(UserError, match="being trained"), locked_folder(RunFolder(tmp_path)):
            raise AssertionError("twice")
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()
