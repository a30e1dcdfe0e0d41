"""Benchmarks whose published files are miniatures on a server of the test's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer
from miniatures import MINIATURES, Mini, archive, members

from dait.data.benchmarks.catalogue import benchmarks


@pytest.fixture
def mini(server: FileServer, tmp_path: Path) -> Callable[..., Mini]:
    """``mini("food-101", {"food-101.tar.gz": {"food-101/meta/train.txt": b"..."}})``.

    The second argument changes members of archives (None removes one), or whole files.
    """

    def make(name: str, changes: dict[str, dict[str, bytes | None] | bytes] | None = None) -> Mini:
        files = MINIATURES[name]()
        for file, change in (changes or {}).items():
            if isinstance(change, bytes):
                files[file] = change
                continue
            inside: dict[str, bytes | None] = {**members(files[file]), **change}
            assert set(change) <= set(members(files[file])) | {m for m in change if change[m]}
            kept = {member: data for member, data in inside.items() if data is not None}
            files[file] = archive(kept, "" if file.endswith(".tar") else "gz")
        original = benchmarks()[name]
        published = tuple(
            replace(
                one,
                url=server.url(f"{name}/{one.file}"),
                size=len(files[one.file]),
                sha256="",
                md5=hashlib.md5(files[one.file]).hexdigest(),
            )
            for one in original.published
        )
        for file, data in files.items():
            server.add(f"{name}/{file}", data)
        return Mini(replace(original, published=published), tmp_path / "data" / name, files)

    return make
