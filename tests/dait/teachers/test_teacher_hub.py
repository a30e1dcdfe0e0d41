"""Downloads from a hub that is whole, slow to end, closed, or gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import COMMIT, HubServer, point_hub_at

from dait.errors import UserError
from dait.events import Event, Note, Progress
from dait.teachers.hub import HubFile, cached, fetch, repo_folder
from dait.teachers.weights import fetch_weights, sources_of

DATA = bytes(range(256)) * 4096 * 3  # 3 MiB
FILE = HubFile("tiny/clip", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"))
TEACHER = "openclip:hf-hub:tiny/clip"


@pytest.fixture
def served(hub: HubServer) -> HubServer:
    hub.repos["tiny/clip"] = {FILE.names[0]: DATA, FILE.names[1]: b"pickle"}
    return hub


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*.incomplete") if path.is_file()]


def test_a_download_says_how_far_it_is_and_is_done_once(served: HubServer, hub_cache: Path) -> None:
    heard: list[Event] = []
    path = fetch(FILE, TEACHER, heard.append)
    assert path.read_bytes() == DATA
    assert path == hub_cache / "models--tiny--clip" / "snapshots" / COMMIT / FILE.names[0]
    assert isinstance(heard[0], Note) and "3.1 MB" in heard[0].text
    steps = [event for event in heard if isinstance(event, Progress)]
    assert steps[-1] == Progress("Downloading tiny/clip", 3, 3, "MiB")
    assert [event.done for event in steps] == sorted({event.done for event in steps})
    asked = len(served.asked)
    assert fetch(FILE, TEACHER) == path and len(served.asked) == asked


def test_it_is_known_which_commit_a_teacher_was_loaded_from(
    served: HubServer, hub_cache: Path
) -> None:
    served.repos["tiny/clip"]["open_clip_config.json"] = b"{}"
    assert all("not in the hub's cache" in said for said in sources_of(TEACHER))
    fetch_weights(TEACHER)
    assert sources_of(TEACHER) == [
        f"tiny/clip/open_clip_config.json at {COMMIT}",
        f"tiny/clip/{FILE.names[0]} at {COMMIT}",
    ]
    assert sources_of("fieldguide-clip") == sources_of("openclip-local:folder") == []


def test_the_pickle_is_taken_only_where_there_is_nothing_safer(
    served: HubServer, hub_cache: Path
) -> None:
    del served.repos["tiny/clip"][FILE.names[0]]
    assert fetch(FILE, TEACHER).read_bytes() == b"pickle"


def test_a_download_that_breaks_off_goes_on_where_it_was(
    served: HubServer, capfd: pytest.CaptureFixture[str]
) -> None:
    served.faults = ["break:1000000"]
    assert fetch(FILE, TEACHER).read_bytes() == DATA
    ranges = [wanted for method, _, wanted in served.asked if method == "GET"]
    assert ranges[0] is None and ranges[1] is not None and ranges[1] > "bytes=0-"
    assert capfd.readouterr() == ("", "")


def test_a_download_that_breaks_off_for_good_leaves_the_cache_usable(
    served: HubServer, hub_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    served.faults = ["break:1000000", "status:500"]
    with pytest.raises(UserError) as caught:
        fetch(FILE, TEACHER)
    sentence = str(caught.value)
    assert "3.1 MB" in sentence and "answers 500" in sentence
    assert f"python -m dait teacher fetch {TEACHER}" in sentence and "\n" not in sentence
    assert capfd.readouterr() == ("", "")
    assert not leftovers(hub_cache) and cached(FILE) is None
    assert fetch(FILE, TEACHER).read_bytes() == DATA


def test_a_file_of_another_length_than_promised_is_not_kept(
    served: HubServer, hub_cache: Path
) -> None:
    served.claims[FILE.names[0]] = len(DATA) + 5
    with pytest.raises(UserError, match=r"could not be downloaded from http.*Consistency check"):
        fetch(FILE, TEACHER)
    assert not leftovers(hub_cache) and cached(FILE) is None
    served.claims.clear()
    assert fetch(FILE, TEACHER).read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "GatedRepo", r"only to those who accept their terms.*/tiny/clip.*hf auth login"),
        (403, "GatedRepo", r"only to those who accept their terms"),
        (401, "RepoNotFound", r"answers 401.*no such model, or it is private"),
        (404, "RepoNotFound", r"answers 404.*no such model"),
        (403, "", r"answers 403.*private"),
        (500, "", r"not on this machine.*answers 500; try again later"),
        (503, "", r"answers 503; try again later"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(
    served: HubServer,
    status: int,
    code: str,
    words: str,
    hub_cache: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    served.refusals["tiny/clip"] = (status, code)
    with pytest.raises(UserError, match=words):
        fetch(FILE, TEACHER)
    assert capfd.readouterr() == ("", "")
    served.refusals.clear()
    assert fetch(FILE, TEACHER).read_bytes() == DATA


def test_a_repository_without_weights_names_what_is_read(served: HubServer) -> None:
    served.repos["tiny/clip"] = {"model.gguf": DATA}
    with pytest.raises(UserError, match=r"none of the files that are read here \(open_clip_model"):
        fetch(FILE, TEACHER)


def test_an_unknown_version_and_an_unknown_repository(served: HubServer) -> None:
    with pytest.raises(UserError, match="tiny/clip has no version ‘v9’"):
        fetch(HubFile("tiny/clip", FILE.names, "v9"), TEACHER)
    with pytest.raises(UserError, match="no such model, or it is private"):
        fetch(HubFile("tiny/none", FILE.names), TEACHER)


def test_no_connection_tells_which_file_how_large_and_how_to_get_it(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"size unknown.*HF_HUB_OFFLINE forbids"):
        fetch(FILE, TEACHER)
    point_hub_at(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        fetch(FILE, TEACHER, size=605_000_000)
    sentence = str(caught.value)
    assert f"{FILE.names[0]} of the hub's model tiny/clip, 605 MB" in sentence
    assert "could not be downloaded from http://127.0.0.1:9 (Connect" in sentence
    assert "models--tiny--clip from its hub cache (~/.cache/huggingface/hub" in sentence
    assert f"into {hub_cache} here" in sentence


def test_a_cache_folder_that_cannot_be_written(
    served: HubServer, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache.parent.mkdir(parents=True)
    hub_cache.write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"cannot be written\. Set HF_HOME"):
        fetch(FILE, TEACHER)


@pytest.mark.parametrize("repo", ["../etc", "a/b/c", "a--b/c", "", "a/..", "http://x/y", "/a/b"])
def test_what_is_no_name_of_a_repository_is_not_asked_for(repo: str) -> None:
    with pytest.raises(UserError, match="is no model of the hub"):
        HubFile(repo, ("x",))


@pytest.mark.slow
def test_fetch_from_the_command_line_heeds_the_hubs_variables(
    served: HubServer, tmp_path: Path, clip_files: dict[str, bytes]
) -> None:
    served.repos["tiny/clip"] = clip_files
    variables = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": served.address}
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "dait", "teacher", "fetch", TEACHER],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert {path.name for path in paths} == set(clip_files)
    inside = tmp_path / "home" / "hub" / repo_folder("tiny/clip").name
    assert all(path.is_relative_to(inside) for path in paths)
