"""A hub on this machine, its cache, and repositories that hold tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, HubServer, hub_serving, point_hub_at

Files = dict[str, bytes]
PutInCache = Callable[[str, Files], Path]


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's, without a connection to the hub."""
    folder = tmp_path / "hf" / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub to download from, into ``hub_cache``."""
    with hub_serving() as server:
        point_hub_at(monkeypatch, server.address)
        yield server


@pytest.fixture
def put_in_cache(hub_cache: Path) -> PutInCache:
    """Lays a repository's files down as the hub's library does; returns the snapshot's folder."""

    def put(repo: str, files: Files) -> Path:
        folder = hub_cache / f"models--{repo.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        for part in (snapshot, folder / "refs", folder / "blobs"):
            part.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text(COMMIT)
        for number, (name, data) in enumerate(files.items()):
            blob = folder / "blobs" / f"{number:064x}"
            blob.write_bytes(data)
            (snapshot / name).symlink_to(blob)
        return snapshot

    return put


@pytest.fixture
def clip_files(clip_folder: Path) -> Files:
    """The tiny OpenCLIP model as the files of a hub repository."""
    return {file.name: file.read_bytes() for file in clip_folder.iterdir()}
