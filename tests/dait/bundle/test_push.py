"""Pushing a folder to a hub on this machine, with the hub's real client; and the whole command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, HubServer, hub_serving, point_hub_at

from dait.bundle.push import Repository, listed
from dait.errors import UserError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub to write to, with the token where the hub's own tools keep it."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(token))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub_serving() as server:
        point_hub_at(monkeypatch, server.address)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "examples").mkdir(parents=True)
    (files / "README.md").write_text("---\nlibrary_name: timm\n---\n\n# A card\n")
    (files / "model.onnx").write_bytes(bytes(range(256)) * 40)
    (files / "examples" / "one.jpg").write_bytes(b"a photograph")
    return files


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in listed(folder)}


def test_every_file_arrives_in_a_private_model(hub: HubServer, folder: Path) -> None:
    repository = Repository("anna/birds")
    repository.require_allowed()
    assert repository.push(folder, "Upload it") == f"{hub.address}/anna/birds"
    made = hub.pushed["model", "anna/birds"]
    assert made.files == contents(folder) and made.private and made.commits == ["Upload it"]
    assert [asked[0] for asked in hub.asked].count("PUT") == 1  # the large one, by LFS


def test_a_space_is_one_of_gradio_and_public_if_asked(hub: HubServer, folder: Path) -> None:
    assert Repository("anna/birds", space=True).push(folder, "Upload", public=True) == (
        f"{hub.address}/spaces/anna/birds"
    )
    made = hub.pushed["space", "anna/birds"]
    assert (made.sdk, made.private) == ("gradio", False) and made.files == contents(folder)


def test_what_exists_is_overwritten_only_by_a_flag(hub: HubServer, folder: Path) -> None:
    Repository("anna/birds").push(folder, "First")
    before = dict(hub.pushed["model", "anna/birds"].files)
    (folder / "model.onnx").write_bytes(b"another" * 900)
    for attempt in (
        lambda: Repository("anna/birds").require_allowed(),
        lambda: Repository("anna/birds").push(folder, "Second"),
    ):
        with pytest.raises(UserError, match=r"exists already.*--overwrite"):
            attempt()
    assert hub.pushed["model", "anna/birds"].files == before
    Repository("anna/birds").require_allowed(overwrite=True)
    Repository("anna/birds").push(folder, "Second", overwrite=True)
    made = hub.pushed["model", "anna/birds"]
    assert made.files == contents(folder) and made.commits == ["First", "Second"] and made.private


def test_an_upload_that_fails_leaves_no_repository_behind(hub: HubServer, folder: Path) -> None:
    hub.upload_fault = 403
    with pytest.raises(UserError):
        Repository("anna/birds").push(folder, "Upload")
    assert hub.pushed == {}
    hub.upload_fault = None
    Repository("anna/birds").push(folder, "Upload")
    hub.upload_fault = 403
    (folder / "model.onnx").write_bytes(b"another" * 900)
    with pytest.raises(UserError):
        Repository("anna/birds").push(folder, "Again", overwrite=True)
    assert ("model", "anna/birds") in hub.pushed  # it was not made by this push


def test_what_cannot_be_pushed_is_said_in_a_sentence(
    hub: HubServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("birds", "anna/birds/more", "anna/bi--rds", "anna/../birds", "anna/birds.git"):
        with pytest.raises(UserError, match="no name of a repository"):
            Repository(name)
    with pytest.raises(UserError, match=r"may not write berta/birds.*403.*rights to create"):
        Repository("berta/birds").push(folder, "Upload")
    (tmp_path / "token").write_text("hf_wrong")
    with pytest.raises(UserError, match="does not accept the token"):
        Repository("anna/birds").push(folder, "Upload")
    (tmp_path / "token").unlink()
    with pytest.raises(UserError, match=r"no token .*hf auth login"):
        Repository("anna/birds").require_allowed()
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        Repository("anna/birds").require_allowed()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        point_hub_at(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(UserError, match="could not be reached"):
            Repository("anna/birds").require_allowed()
    assert hub.pushed == {}


@pytest.mark.slow
def test_a_run_is_pushed_by_the_command(tiny_study: Path, tmp_path: Path) -> None:
    with hub_serving() as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.address,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }

        def push(*options: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "dait", "push", str(tiny_study / "dait-s0")]
            return subprocess.run(
                [*command, "--repo", "anna/tiny", "--json", *options],
                capture_output=True,
                text=True,
                env=environment,
                timeout=300,
            )

        tried = push("--dry-run")
        assert tried.returncode == 0, tried.stderr
        planned = json.loads(tried.stdout.splitlines()[-1])
        assert not planned["uploaded"] and server.pushed == {} and server.asked == []
        assert "model.onnx" in tried.stdout and "private model" in tried.stdout

        done = push("--space", "--public")
        assert done.returncode == 0, done.stderr
        made = server.pushed["space", "anna/tiny"]
        line = json.loads(done.stdout.splitlines()[-1])
        assert line["uploaded"] and line["address"].endswith("/spaces/anna/tiny")
        assert {name: len(data) for name, data in made.files.items()} == line["files"]
        assert {"app.py", "README.md", "requirements.txt", "model.onnx", "predict.py"} <= set(
            made.files
        )
        assert b"sdk: gradio" in made.files["README.md"] and not made.private
        assert sum(name.startswith("examples/") for name in made.files) > 1

        refused = push("--space")
        assert refused.returncode == 2 and "exists already" in refused.stderr
        assert "Traceback" not in refused.stderr
