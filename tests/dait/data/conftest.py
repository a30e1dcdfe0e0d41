"""Small folders of photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, serving
from PIL import Image

Photos = Callable[[str, int], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def photos(root: Path) -> Photos:
    """``photos("train/cat", 3)`` puts three plain photographs there; the next call adds more."""
    rng = np.random.default_rng(0)

    def make(where: str, count: int) -> None:
        folder = root / where
        folder.mkdir(parents=True, exist_ok=True)
        start = len(list(folder.iterdir()))
        for number in range(start + 1, start + count + 1):
            colour = tuple(int(value) for value in rng.integers(0, 256, 3))
            Image.new("RGB", (24, 20), colour).save(folder / f"img{number}.png")

    return make


@pytest.fixture
def grocery() -> Path:
    """The Grocery Store photographs, where they are at hand."""
    beside = Path(__file__).parents[3].parent / "shared" / "data" / "grocery"
    folder = Path(os.environ.get("DAIT_GROCERY", beside))
    if not (folder / "train").is_dir():
        pytest.skip("set DAIT_GROCERY to the folder of the Grocery Store data set to run this")
    return folder


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A web server of the test's own on this machine."""
    with serving() as running:
        yield running
