"""The report on a data set, over small folders that have one thing wrong each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.data.fieldguide import FieldGuide
from dait.data.folders.folder import open_folder
from dait.data.inspection.report import DataReport, SizeRange, report
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.events import Event, Progress
from dait.study.context import left_out


def draw(file: Path, seed: int, size: tuple[int, int] = (40, 32)) -> None:
    """A photograph of nothing in particular, different for every seed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    noise.resize(size, Image.Resampling.BICUBIC).save(file)


@pytest.fixture
def folder(root: Path, own_cache: Path) -> Path:
    """Two classes: 12, 2 and 3 photographs each, nothing amiss at 32 px."""
    for base, (split, count) in enumerate((("train", 12), ("val", 2), ("test", 3))):
        for label, name in enumerate(("grey_cat", "dog")):
            for number in range(count):
                file = root / split / name / f"{number:02}.png"
                draw(file, seed=1000 * base + 100 * label + number)
    return root


def read(folder: Path, size: int = 32) -> DataReport:
    return report(open_folder(folder, size))


def test_a_clean_folder(folder: Path) -> None:
    events: list[Event] = []
    found = report(open_folder(folder, 32), events.append)
    assert found.warnings == () and found.leaks == () and found.bad == ()
    assert found.counts == {"train": 24, "val": 4, "test": 6}
    # natural order, whatever the alphabet of the drive
    assert [(info.key, info.name, info.train, info.val, info.test) for info in found.classes] == [
        ("dog", "dog", 12, 2, 3),
        ("grey_cat", "grey cat", 12, 2, 3),
    ]
    assert found.sizes == SizeRange((40, 32), (40, 32), (40, 32), 0)
    last = events[-1]
    assert isinstance(last, Progress) and last.done == last.total == 34


def test_leaks_are_the_first_warning(folder: Path) -> None:
    shutil.copy(folder / "train/dog/03.png", folder / "test/dog/99.png")
    shutil.copy(folder / "train/dog/04.png", folder / "val/grey_cat/99.png")
    with Image.open(folder / "train/dog/05.png") as image:
        image.save(folder / "test/dog/98.jpg", quality=50)
    found = read(folder)
    assert [(leak.kind, leak.first, leak.second, leak.labels_differ) for leak in found.leaks] == [
        ("same", "train/dog/04.png", "val/grey_cat/99.png", True),
        ("near", "train/dog/05.png", "test/dog/98.jpg", False),
        ("same", "train/dog/03.png", "test/dog/99.png", False),
    ]
    same, near, val, contrary = found.warnings
    assert same.startswith("1 of 8 test images are also in train or val")
    assert "‘test/dog/99.png’, like ‘train/dog/03.png’" in same
    assert near.startswith("1 of 8 test images look nearly like")
    assert val.startswith("1 of 5 val images are also in train")
    assert "different classes" in contrary and "val/grey_cat/99.png" in contrary


def test_copies_within_a_split(folder: Path) -> None:
    shutil.copy(folder / "train/dog/03.png", folder / "train/dog/99.png")
    assert read(folder).warnings == ("1 training image is a copy of another in the same split.",)


def test_bad_files(folder: Path) -> None:
    (folder / "test/dog/00.png").write_bytes((folder / "test/dog/00.png").read_bytes()[:200])
    found = read(folder)
    assert [problem.file for problem in found.bad] == ["test/dog/00.png"]
    assert found.counts["test"] == 5
    assert "1 files cannot be used" in found.warnings[0] and "is damaged" in found.warnings[0]


def test_sizes(folder: Path) -> None:
    draw(folder / "train/dog/small.png", 7000, (20, 30))
    draw(folder / "train/dog/large.png", 7001, (300, 200))
    found = read(folder)
    assert found.sizes == SizeRange((20, 30), (40, 32), (300, 200), 1)
    assert found.warnings == (
        "1 images are smaller than 32 pixels and are enlarged; the smallest is 20 × 30.",
    )


def test_few_and_uneven_classes(folder: Path) -> None:
    for number in range(1, 12):
        (folder / f"train/dog/{number:02}.png").unlink()
    for number in range(3):
        (folder / f"test/dog/{number:02}.png").unlink()
    few, uneven, none = read(folder).warnings
    assert few == ("1 of 2 classes have fewer than 10 training images; the smallest, ‘dog’, has 1.")
    assert "‘grey cat’ has 12 training images, ‘dog’ 1" in uneven
    assert none.startswith("1 of 2 classes have no test image, the first ‘dog’")


def test_classes_of_one_name(folder: Path) -> None:
    for split in ("train", "val", "test"):
        (folder / split / "dog").rename(folder / split / "Grey-Cat")
    assert "‘grey cat’" in read(folder).warnings[0]


def test_for_machines(folder: Path) -> None:
    shutil.copy(folder / "train/dog/03.png", folder / "test/dog/99.png")
    (folder / "val/dog/bad.jpg").write_text("no dog")
    facts = json.loads(json.dumps(read(folder).as_json()))
    assert (facts["classes"], facts["train"], facts["val"], facts["test"]) == (2, 24, 4, 7)
    assert facts["bad"][0]["file"] == "val/dog/bad.jpg" and "text file" in facts["bad"][0]["reason"]
    assert facts["leaks"] == 1 and facts["leaked"][0]["second"] == "test/dog/99.png"
    assert len(facts["warnings"]) == 2
    assert facts["per_class"][1]["test"] == 3 and facts["sizes"]["largest"] == [40, 32]


def test_nothing_usable(folder: Path) -> None:
    for file in (folder / "test").rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(UserError, match="None of the 6 test photographs"):
        read(folder)


def test_drawn_images_have_no_files(birds: FieldGuide) -> None:
    found = report(birds)
    assert found.sizes is None and found.leaks == ()
    assert found.counts == {"train": 24, "val": 12, "test": 18}
    assert len(found.warnings) == 1 and "fewer than 10 training images" in found.warnings[0]


def test_what_is_smaller_than_its_margin_is_enlarged(folder: Path) -> None:
    found = report(open_dataset(str(folder), size=32))  # stored at 37; the files have 40 × 32
    assert found.sizes is not None and found.sizes.upscaled == 34
    assert any("smaller than 37 pixels (32 and the margin)" in line for line in found.warnings)
    whole = report(open_dataset(str(folder), size=32, fit="letterbox"))
    assert whole.sizes is not None and whole.sizes.upscaled == 0


def test_images_that_are_not_used_are_a_warning(folder: Path) -> None:
    shutil.copytree(folder / "train" / "dog", folder / "extra" / "dog")
    shutil.copy(folder / "train" / "dog" / "00.png", folder / "loose.png")
    found = read(folder)
    assert [(left.count, left.first) for left in found.left_out] == [
        (1, "loose.png"),
        (12, "extra/dog/00.png"),
    ]
    assert found.warnings[0].startswith("1 image is not used, the first ‘loose.png’")
    assert found.as_json()["left_out"][1]["count"] == 12
    assert any("12 images are not used" in line for line in left_out(open_folder(folder, 32)))


def test_unlabelled_images_are_counted_and_compared_with_the_test_split(folder: Path) -> None:
    for number in range(4):
        draw(folder / f"unlabelled/{number}.png", 9000 + number)
    found = read(folder)
    assert found.counts == {"train": 24, "val": 4, "test": 6, "unlabelled": 4}
    assert found.as_json()["unlabelled"] == 4 and found.warnings == () and found.leaks == ()
    shutil.copy(folder / "test/dog/01.png", folder / "unlabelled/copy.png")
    with Image.open(folder / "val/dog/00.png") as image:
        image.save(folder / "unlabelled/nearly.jpg", quality=50)
    shutil.copy(folder / "train/dog/01.png", folder / "unlabelled/harmless.png")
    found = read(folder)
    assert [(leak.kind, leak.first, leak.second, leak.labels_differ) for leak in found.leaks] == [
        ("near", "unlabelled/nearly.jpg", "val/dog/00.png", False),
        ("same", "unlabelled/copy.png", "test/dog/01.png", False),
    ]
    assert found.warnings == (
        "1 of 6 test images are also in unlabelled, which flatters every network that learns from "
        "these; the first is ‘test/dog/01.png’, like ‘unlabelled/copy.png’.",
        "1 of 4 val images look nearly like images of unlabelled, which flatters every network "
        "that learns from these; the first is ‘val/dog/00.png’, like ‘unlabelled/nearly.jpg’.",
    )


def test_data_without_unlabelled_images_says_none(folder: Path) -> None:
    assert read(folder).as_json()["unlabelled"] == 0
