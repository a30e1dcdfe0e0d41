"""Test images one by one, from every kind of source that a study can be trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.config.inputs import DataConfig
from dait.data.base import Fit
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.evidence.single_images import SingleImages


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for number in range(16):
        path = tmp_path / "photos" / ("pear", "plum")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        noise = rng.integers(0, 256, (40, (50, 70)[number % 3 == 0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return tmp_path / "photos"


def sources(folder: Path) -> dict[str, str]:
    """The same photographs as a folder, an archive and a table."""
    archive = shutil.make_archive(str(folder.parent / "packed"), "zip", folder)
    table = folder / "list.csv"
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in folder.glob("*/*.png")]
    table.write_text("path,label\n" + "\n".join(sorted(rows)))
    return {"folder": str(folder), "archive": archive, "table": str(table)}


@pytest.mark.parametrize("fit", ["crop", "square", "letterbox"])
@pytest.mark.parametrize("kind", ["folder", "archive", "table"])
def test_a_single_image_is_that_of_the_split(
    kind: str, fit: Fit, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    data = DataConfig(source=sources(photographs)[kind], size=32, crop_pct=0.8, fit=fit)
    split = open_dataset(data.source, size=32, crop_pct=0.8, fit=fit).split("test")
    images = SingleImages(data)
    for index, name in enumerate(split.ids):
        np.testing.assert_array_equal(images.image(index, name), split.images[index])
    with pytest.raises(UserError, match="is not there now"):
        images.image(0, "../list.csv")


def test_a_drawn_image_is_that_of_the_split() -> None:
    options = {"species": 3, "differing": 4, "train_per_class": 2, "test_per_class": 2}
    data = DataConfig.model_validate({"size": 32, **options})
    split = open_dataset("fieldguide", size=32, **options).split("test")
    np.testing.assert_array_equal(SingleImages(data).image(4, split.ids[4]), split.images[4])


def test_a_benchmark_is_not_downloaded_for_one_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_DOWNLOADS", str(tmp_path))
    with pytest.raises(UserError, match="is not on this machine"):
        SingleImages(DataConfig(source="cub-200-2011")).image(0, "x")
    assert list(tmp_path.iterdir()) == []
