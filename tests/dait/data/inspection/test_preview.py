"""The contact sheet shows the right images in the right places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.folder import open_folder
from dait.data.inspection.preview import preview_grid
from dait.data.sources.registry import open_dataset
from dait.errors import UserError

Photos = Callable[[str, int], None]
SIZE = 40
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def dataset(root: Path) -> ImageFileDataset:
    """Three classes, each of one strong colour."""
    for name, colour in (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff")):
        for split in ("train", "val", "test"):
            (root / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (50, 50), colour).save(root / split / name / f"{number}.png")
    return open_folder(root, SIZE)


def test_photographs_of_several_shapes_are_shown_as_evaluated(root: Path) -> None:
    for split in ("train", "val", "test"):
        for number, size in enumerate(((90, 40), (40, 90), (60, 60))):
            for name, colour in (("red", "#ff0000"), ("green", "#00ff00")):
                (root / split / name).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", size, colour).save(root / split / name / f"{number}.png")
    found = areas(preview_grid(open_dataset(str(root), size=SIZE), "val"))
    assert (found["red"], found["green"]) == (3, 3)


def areas(sheet: Image.Image) -> dict[str, int]:
    """How many images' worth of each pure colour there is."""
    pixels = np.asarray(sheet)
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    return {
        name: round((pixels == colour).all(axis=2).sum() / SIZE**2)
        for name, colour in colours.items()
    }


def test_every_class_gets_its_images(dataset: ImageFileDataset) -> None:
    assert areas(preview_grid(dataset, "train", per_class=2)) == {"red": 2, "green": 2, "blue": 2}
    assert areas(preview_grid(dataset, "test", per_class=9)) == {"red": 3, "green": 3, "blue": 3}


def test_classes_are_chosen_and_ordered(dataset: ImageFileDataset) -> None:
    sheet = preview_grid(dataset, "val", per_class=1, columns=2, classes=["red", "blue"])
    assert areas(sheet) == {"red": 1, "green": 0, "blue": 1}
    pixels = np.asarray(sheet)
    columns = [(pixels == colour).all(axis=2).any(axis=0) for colour in ((255, 0, 0), (0, 0, 255))]
    assert columns[0].nonzero()[0].max() < columns[1].nonzero()[0].min()
    tall = preview_grid(dataset, "val", per_class=1, columns=1)
    assert tall.height > 3 * SIZE and tall.width < 2 * SIZE


def test_labels_are_drawn(dataset: ImageFileDataset) -> None:
    named = np.asarray(preview_grid(dataset, "val", per_class=3, classes=["red"]))
    other = np.asarray(preview_grid(dataset, "val", per_class=3, classes=["green"]))
    label = slice(0, named.shape[0] - SIZE - 16)
    assert (named[label] < 128).any()
    assert (named[label] != other[label]).any()


def test_wrong_requests_are_sentences(dataset: ImageFileDataset) -> None:
    with pytest.raises(UserError, match=r"no class ‘pink’\. Its classes are blue, green, red"):
        preview_grid(dataset, "val", classes=["pink"])
    with pytest.raises(UserError, match="nothing to show"):
        preview_grid(dataset, "val", classes=[])
    with pytest.raises(UserError, match="at least 1"):
        preview_grid(dataset, "val", per_class=0)
