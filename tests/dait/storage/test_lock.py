"""One holder at a time, none left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dait.errors import UserError
from dait.storage import lock
from dait.storage.lock import locked

ADD = """
import sys, threading
from pathlib import Path
from dait.storage.lock import locked
from dait.storage import lock

lock._PAUSE = 0.0005  # much contention in little time
total = Path(sys.argv[1])
def add():
    for _ in range(20):
        with locked(total.with_name("lock"), lambda: None) as held:
            assert held
            total.write_text(str(int(total.read_text()) + 1))
threads = [threading.Thread(target=add) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_processes_and_threads_take_turns(tmp_path: Path) -> None:
    total = tmp_path / "total"
    total.write_text("0")
    root = Path(lock.__file__).parents[2]
    children = [
        subprocess.Popen([sys.executable, "-c", ADD, str(total)], cwd=root) for _ in range(2)
    ]
    assert [process.wait(200) for process in children] == [0, 0]
    assert total.read_text() == "80"  # no addition was lost
    assert [file.name for file in tmp_path.iterdir()] == ["total"]


def test_waiting_may_be_given_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise InterruptedError

    with locked(tmp_path / "lock", give_up) as held:
        assert held
        with pytest.raises(InterruptedError), locked(tmp_path / "lock", give_up):
            raise AssertionError("held twice")
        assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", give_up) as held:
        assert held


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    unwritable = pytest.raises(UserError, match="Could not write")
    with unwritable, locked(tmp_path / "file" / "lock", lambda: None):
        raise AssertionError("held nothing")
