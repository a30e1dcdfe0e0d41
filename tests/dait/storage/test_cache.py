"""The cache: whole entries or none, whoever races, dies or meddles."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dait.errors import UserError, is_full, refused_by_disk
from dait.storage import cache
from dait.storage.cache import cache_dir, load_or_build
from dait.storage.files import (
    format_bytes,
    new_folder,
    sweep,
    temporary_name,
    write_atomically,
)


def big() -> dict[str, np.ndarray]:
    return {"images": np.arange(600_000, dtype=np.int32), "empty": np.zeros(0, np.int64)}


def refuse() -> dict[str, np.ndarray]:
    raise AssertionError("built a second time")


def test_built_once_then_mapped(tmp_path: Path) -> None:
    first = load_or_build(tmp_path, "a-1.0", big)
    again = load_or_build(tmp_path, "a-1.0", refuse)
    for arrays in (first, again):
        np.testing.assert_array_equal(arrays["images"], big()["images"])
        assert isinstance(arrays["images"], np.memmap)
        assert arrays["empty"].shape == (0,)
        assert not arrays["images"].flags.writeable and not arrays["empty"].flags.writeable
    assert [entry.name for entry in tmp_path.iterdir()] == ["a-1.0"]


@pytest.mark.parametrize("key", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_key_is_a_plain_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cache key"):
        load_or_build(tmp_path, key, big)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        load_or_build(tmp_path, "a", refuse)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["cut", "lost", "manifest"])
def test_a_damaged_entry_is_built_anew(tmp_path: Path, harm: str) -> None:
    load_or_build(tmp_path, "a", big)
    file = tmp_path / "a" / "images.npy"
    if harm == "cut":
        with file.open("r+b") as stream:
            stream.truncate(1000)
    elif harm == "lost":
        file.unlink()
    else:
        (tmp_path / "a" / "manifest.json").write_text("{")
    np.testing.assert_array_equal(load_or_build(tmp_path, "a", big)["images"], big()["images"])


def test_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        load_or_build(tmp_path, "a", lambda: {"x": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_of_threads_that_race_one_builds(tmp_path: Path) -> None:
    built, results = [], []

    def slow() -> dict[str, np.ndarray]:
        built.append(1)
        time.sleep(0.3)
        return big()

    def work() -> None:
        results.append(load_or_build(tmp_path, "a", slow)["images"].sum())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [big()["images"].sum()] * 2 and built == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from dait.storage import cache as store

folder, what = Path(sys.argv[1]), sys.argv[2]
def build():
    (folder.parent / f"started-{what}").touch()
    while what == "race" and len(list(folder.parent.glob("go"))) == 0:
        time.sleep(0.01)
    return {"images": np.arange(600_000, dtype=np.int32)}
if what == "die":
    save = np.save
    def half(file, array, **options):
        save(file, array, **options)
        (folder.parent / "written").touch()
        time.sleep(60)
    np.save = half
print(int(store.load_or_build(folder, "a", build)["images"][-1]))
"""


def child(folder: Path, what: str) -> subprocess.Popen[str]:
    root = Path(cache.__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(folder), what]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < until, f"{file.name} never came"
        time.sleep(0.02)


def test_processes_that_race_both_succeed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    children = [child(folder, "race"), child(folder, "race")]
    wait_for(tmp_path / "started-race")
    time.sleep(0.5)  # most likely the other one waits by now
    (tmp_path / "go").touch()
    for process in children:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and out.strip() == "599999"
    assert [entry.name for entry in folder.iterdir()] == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_build_is_not_taken_for_whole_and_swept(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    process = child(folder, "die")
    wait_for(tmp_path / "written")
    assert [entry.name.endswith(".tmp") for entry in folder.glob(".a.*.tmp")] == [True]
    load_or_build(folder, "other", big)  # its builder lives: the folder stays
    assert any(entry.name.endswith(".tmp") for entry in folder.iterdir())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    built = load_or_build(folder, "a", big)
    np.testing.assert_array_equal(built["images"], big()["images"])
    assert sorted(entry.name for entry in folder.iterdir()) == ["a", "other"]


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = temporary_name(tmp_path / "a").name.rsplit(".", 2)[1].split("-")[0]
    gone = [f".a.{host}-{dead.pid}-0123abcd.tmp", f".b.json.{dead.pid}-0123abcd.tmp"]
    old = [".a.elsewhere-1-0123abcd.tmp", ".partial-a", ".building-elsewhere-1-ab"]
    left = [".a.elsewhere-1-4567abcd.tmp", ".building-elsewhere-1-cd", f".a.{host}-1-0123abcd.tmp"]
    left += [f".a.{host}-{os.getpid()}-0123abcd.tmp", ".my notes.tmp"]
    for name in (*gone, *old, *left):
        (tmp_path / name).mkdir()
    for name in old:
        os.utime(tmp_path / name, (1, 1))
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)
    sweep(tmp_path, exclusive=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([left[1], *left[3:]])


def test_whoever_writes_a_name_removes_what_killed_writers_of_it_left(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in ("report.html", "report[1].html", "other"):
        (tmp_path / f".{name}.{dead.pid}-0123abcd.tmp").touch()
    write_atomically(tmp_path / "report[1].html", "whole")
    with new_folder(tmp_path / "report.html") as folder:
        (folder / "file").touch()
    left = f".other.{dead.pid}-0123abcd.tmp"
    assert {path.name for path in tmp_path.iterdir()} == {"report[1].html", "report.html", left}


def test_a_full_disk_is_known_by_any_of_its_names() -> None:
    for error in (OSError(errno.ENOSPC, ""), OSError(errno.EDQUOT, "")):
        assert is_full(error) and refused_by_disk(error) is not None
    assert is_full(OSError("73728 requested and 73600 written"))  # numpy.save gives no number
    assert refused_by_disk(PermissionError(errno.EACCES, "", "x")) is not None
    assert refused_by_disk(FileNotFoundError(errno.ENOENT, "", "x")) is None


def test_the_cache_folder_is_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "chosen"))
    assert cache_dir() == tmp_path / "chosen" and cache_dir().is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="DAIT_CACHE"):
        cache_dir()


def test_an_unwritable_home_falls_back_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAIT_CACHE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    assert cache_dir() == tmp_path / "home" / ".cache" / "dait-studio"
    monkeypatch.setenv("HOME", str(tmp_path / "file"))  # a file: nothing can be made below it
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert cache_dir().parent == tmp_path / "tmp"


def test_bytes_in_words() -> None:
    sizes: list[int | None] = [None, 12, 4_500, 605_000_000, 4_802_305_540, 10_158_268_420]
    words = ["size unknown", "12 bytes", "4.5 kB", "605 MB", "4.8 GB", "10.2 GB"]
    assert [format_bytes(size) for size in sizes] == words
