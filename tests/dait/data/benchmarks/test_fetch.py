"""Downloads from a server that breaks off, lies and changes its mind."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path

import pytest
from file_server import FileServer

from dait.data.benchmarks.fetch import CannotFetch, Checksum, check_file, fetch
from dait.errors import Stopped, UserError
from dait.events import Event, Note, Progress

DATA = bytes(range(256)) * 12_000  # some 3 MB, so that it comes in many pieces
MD5 = Checksum("md5", hashlib.md5(DATA).hexdigest())
NOW = (0.0, 0.0, 0.0)


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_a_file_arrives_with_progress(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA)
    heard: list[Event] = []
    to = tmp_path / "new" / "a.tgz"
    sha = Checksum("sha256", hashlib.sha256(DATA).hexdigest().upper())
    assert fetch(server.url("a.tgz"), to, checksum=sha, size=len(DATA), emit=heard.append) == to
    assert to.read_bytes() == DATA and names(to.parent) == ["a.tgz"]
    loading = [e for e in heard if isinstance(e, Progress) and "Downloading" in e.what]
    assert [e.done for e in loading] == sorted(e.done for e in loading)
    assert loading[-1].done == loading[-1].total == 3 and loading[-1].unit == "MiB"
    fetch(server.url("a.tgz"), to, checksum=sha)
    assert len(server.asked) == 1  # what is there is not asked for again


def test_a_broken_connection_is_resumed(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA, faults=["break:1000000", "break:500000"])
    heard: list[Event] = []
    to = fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5, emit=heard.append, pauses=NOW)
    assert to.read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert [e.text for e in heard if isinstance(e, Note)] == [
        "a.tgz: the connection to 127.0.0.1 broke off; trying again in 0 s."
    ] * 2


def test_a_later_call_goes_on_where_the_first_was_stopped(
    server: FileServer, tmp_path: Path
) -> None:
    server.add("a.tgz", DATA)

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done >= 1:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", emit=stop)
    part = (tmp_path / "a.tgz.part").stat().st_size
    assert 0 < part < len(DATA) and not (tmp_path / "a.tgz").exists()
    fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5)
    assert server.asked[1][1] == f"bytes={part}-"
    assert names(tmp_path) == ["a.tgz"]


@pytest.mark.parametrize("heeds", [True, False], ids=["If-Range heeded", "If-Range ignored"])
def test_a_file_that_changed_meanwhile_starts_again(
    server: FileServer, tmp_path: Path, heeds: bool
) -> None:
    server.add("a.tgz", b"old" * 1000, faults=["break:2000"])
    with pytest.raises(CannotFetch, match="broke off"):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", pauses=())
    server.add("a.tgz", DATA, heeds_if_range=heeds)
    assert fetch(server.url("a.tgz"), tmp_path / "a.tgz", pauses=NOW).read_bytes() == DATA


@pytest.mark.parametrize(
    "options",
    [
        {"ranges": False, "faults": ["break:1000"]},
        {"validator": False, "faults": ["break:1000"]},
        {"faults": ["break:1000", "wrong-part"]},
    ],
    ids=["no ranges", "no validator", "another part"],
)
def test_without_a_sure_rest_it_starts_again(
    server: FileServer, tmp_path: Path, options: dict[str, object]
) -> None:
    server.add("a.tgz", DATA, **options)
    to = fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5, pauses=NOW)
    assert to.read_bytes() == DATA


def test_a_whole_part_needs_no_more(server: FileServer, tmp_path: Path) -> None:
    served = server.add("a.tgz", DATA)
    (tmp_path / "a.tgz.part").write_bytes(DATA)
    (tmp_path / "a.tgz.part.json").write_text(json.dumps(served.etag))
    assert fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5).read_bytes() == DATA
    assert server.asked == [("/a.tgz", f"bytes={len(DATA)}-")]


def test_a_wrong_checksum_names_both_and_keeps_nothing(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA[:-1] + b"!")
    with pytest.raises(CannotFetch) as caught:
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5)
    arrived = hashlib.md5(DATA[:-1] + b"!").hexdigest()
    assert arrived in str(caught.value) and MD5.value in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", ["more:10", "less:10"])
def test_a_lie_about_the_length_is_no_file(server: FileServer, tmp_path: Path, fault: str) -> None:
    server.add("a.tgz", DATA, faults=[fault] * 9, ranges=False)
    with pytest.raises(CannotFetch):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5, pauses=NOW)
    assert not (tmp_path / "a.tgz").exists()


def test_another_length_than_published(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA)
    with pytest.raises(CannotFetch, match=r"the server has 3,072,000 bytes; .* it has 5"):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", size=5)
    assert names(tmp_path) == []


def test_a_busy_server_is_asked_again_and_then_given_up(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA, faults=["status:503", "status:429"])
    assert fetch(server.url("a.tgz"), tmp_path / "a.tgz", pauses=NOW).read_bytes() == DATA
    server.add("b.tgz", DATA, faults=["status:500"] * 9)
    with pytest.raises(CannotFetch, match=r"127\.0\.0\.1 answered 500 \(Internal Server Error\)"):
        fetch(server.url("b.tgz"), tmp_path / "b.tgz", pauses=NOW)
    assert len(server.asked) == 3 + 4


def test_what_is_not_there_is_not_asked_for_twice(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(CannotFetch, match=r"‘a.tgz’ could not .* answered 404 \(Not Found\)"):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz", pauses=NOW)
    assert len(server.asked) == 1


def test_redirects_are_followed_but_not_for_ever(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", b"", faults=["to:/b.tgz"])
    server.add("b.tgz", DATA)
    assert fetch(server.url("a.tgz"), tmp_path / "a.tgz").read_bytes() == DATA
    server.add("c.tgz", b"", faults=["to:/c.tgz"] * 20)
    with pytest.raises(CannotFetch, match="sends us on more than 5 times"):
        fetch(server.url("c.tgz"), tmp_path / "c.tgz", pauses=NOW)
    server.add("d.tgz", b"", faults=["to:ftp://127.0.0.1/d.tgz"])
    with pytest.raises(CannotFetch, match="address is unusable"):
        fetch(server.url("d.tgz"), tmp_path / "d.tgz", pauses=NOW)


def test_no_connection_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(CannotFetch, match=r"there is no connection to 127\.0\.0\.1"):
        fetch(f"http://127.0.0.1:{port}/a.tgz", tmp_path / "a.tgz", pauses=(0.0,))


def test_a_silent_server_times_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(CannotFetch, match="sent nothing for too long"):
            fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a", pauses=(), timeout=0.2)


@pytest.mark.parametrize("url", ["ftp://example.org/a", "file:///etc/passwd", "a.tgz"])
def test_only_the_web_is_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no http:// or https:// address"):
        fetch(url, tmp_path / "a")


def test_a_folder_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be written to .*DAIT_DOWNLOADS"):
        fetch(server.url("a.tgz"), tmp_path / "file" / "a.tgz")


def test_more_than_fits_on_the_disk(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA, faults=[f"more:{2**60}"])
    with pytest.raises(UserError, match="no room left for the download"):
        fetch(server.url("a.tgz"), tmp_path / "a.tgz")


def test_two_at_once_fetch_it_once(server: FileServer, tmp_path: Path) -> None:
    server.add("a.tgz", DATA)
    found: list[bytes] = []

    def work() -> None:
        found.append(fetch(server.url("a.tgz"), tmp_path / "a.tgz", checksum=MD5).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 3 and len(server.asked) == 1


def test_a_file_that_is_there_is_checked_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.tgz"
    file.write_bytes(b"something else")
    with pytest.raises(UserError, match=f"md5 is .*, not {MD5.value}"):
        check_file(file, MD5)
    with pytest.raises(UserError, match=r"has 14 bytes; as published, it has 3,072,000"):
        fetch("http://127.0.0.1:1/a.tgz", file, size=len(DATA))
    assert file.read_bytes() == b"something else"
