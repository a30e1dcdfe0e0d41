"""Any listing as a data set: masks and boxes follow their images, and nothing is decoded twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.data.base import Box, ClassInfo, Dataset, Problem, Trim
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import ImageEntry, Listing
from dait.data.images.decode import decode_framed
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.events import Event, Progress

pytestmark = pytest.mark.usefixtures("own_cache")
CLASSES = (ClassInfo("a", "a", "first"), ClassInfo("b", "b", "second"))


@pytest.fixture
def listing(tmp_path: Path) -> Callable[..., Listing]:
    """``listing([entry, ...])``: two classes, one plain image each where no entries are given."""
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"{name}.png")
    plain = [entry(tmp_path / "a.png"), replace(entry(tmp_path / "b.png"), label=1)]

    def make(test: list[ImageEntry] | None = None, **facts: object) -> Listing:
        splits = {"train": tuple(plain), "val": tuple(plain), "test": tuple(test or plain)}
        options: dict[str, object] = {"licence": "CC0", "mask_values": (255,), **facts}
        return Listing("pair", tmp_path, CLASSES, splits, **options)  # type: ignore[arg-type]

    return make


def entry(
    file: Path, box: Box | None = None, mask: Path | None = None, trim: Trim | None = None
) -> ImageEntry:
    about = file.stat()
    return ImageEntry(file.name, 0, file, about.st_size, about.st_mtime_ns, box, mask, trim)


def test_what_the_listing_says_is_said(listing: Callable[..., Listing]) -> None:
    facts = listing(homepage="https://example.org", notes=("A note.",), ignored={".txt": 2})
    dataset: Dataset = ImageFileDataset(facts, 16)
    assert (dataset.name, dataset.licence, dataset.homepage) == (
        "pair",
        "CC0",
        "https://example.org",
    )
    assert dataset.notes == ("A note.",) and dataset.classes == CLASSES
    assert dataset.part_names == () and dataset.counts() == {"train": 2, "val": 2, "test": 2}
    split = dataset.split("test")
    assert split.masks is None and split.boxes is None and split.ids == ("a.png", "b.png")
    assert split.slices["coarse"].tolist() == ["first", "second"]
    assert split.images[0, 8, 8].tolist() == [255, 0, 0] and split.labels.tolist() == [0, 1]


def object_file(folder: Path, orientation: int, form: str, width: int, height: int) -> Path:
    """White on black: a rectangle at 0.3 to 0.5 across and 0.5 to 0.9 down, as it is stored."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[round(0.5 * height) : round(0.9 * height), round(0.3 * width) : round(0.5 * width)] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = folder / f"photo{orientation}-{width}x{height}.{form}"
    Image.fromarray(pixels).save(file, exif=exif, quality=95)
    return file


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "jpg"])
@pytest.mark.parametrize(("width", "height"), [(60, 50), (40, 70), (800, 650)])
def test_masks_and_boxes_follow_the_image(
    listing: Callable[..., Listing],
    tmp_path: Path,
    orientation: int,
    form: str,
    width: int,
    height: int,
) -> None:
    file = object_file(tmp_path, orientation, form, width, height)
    stored = np.asarray(Image.open(file).convert("L"))
    mask = tmp_path / "mask.png"  # of the image as it is stored, without orientation
    Image.fromarray((stored > 127).astype(np.uint8) * 255).save(mask)
    box = (0.3 * width, 0.5 * height, 0.5 * width, 0.9 * height)
    split = ImageFileDataset(listing([entry(file, box, mask)]), 32).split("test")
    assert split.masks is not None and split.boxes is not None
    image, found = split.images[0, :, :, 1] > 127, split.masks[0]
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 1}
    assert (image == (found > 0)).mean() > 0.97  # the edges are blurred in the image alone
    assert split.boxes.dtype == np.float32 and split.boxes.shape == (1, 4)
    rows, columns = np.nonzero(found.any(1))[0], np.nonzero(found.any(0))[0]
    around = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(split.boxes[0], around, atol=1.01)


def test_boxes_are_clipped_and_missing_ones_are_nan(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"  # 30 × 20: the square is 5 to 25 across
    boxes: list[Box | None] = [(0, 0, 15, 10), (10, 5, 20, 15), (0, 0, 4, 20), None, (9, 9, 9, 9)]
    entries = [replace(entry(file, box), id=str(number)) for number, box in enumerate(boxes)]
    split = ImageFileDataset(listing(entries), 40).split("test")
    assert split.boxes is not None and split.masks is None
    assert split.boxes[0].tolist() == [0, 0, 20, 20] and split.boxes[1].tolist() == [10, 10, 30, 30]
    assert np.isnan(split.boxes[2:]).all()
    assert ImageFileDataset(listing(entries), 40).split("train").boxes is None


def test_a_trim_is_cut_off_the_image_the_mask_and_the_box(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[40:] = 255  # a banner
    pixels[10:20, 20:40, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "mask.png")
    marked = entry(
        tmp_path / "photo.png", (20, 10, 40, 20), tmp_path / "mask.png", trim=(0, 0, 0, 20)
    )
    dataset = ImageFileDataset(listing([marked]), 40)
    split = dataset.split("test")
    assert split.masks is not None and split.boxes is not None
    np.testing.assert_array_equal(split.images[0, :, :, 0] > 127, split.masks[0] > 0)
    assert split.masks[0].sum() == 200 and split.boxes[0].tolist() == [20, 10, 40, 20]
    assert dataset.file_sizes("test").tolist() == [[40, 40]]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("missing", "‘mask.png’ is missing"),
        ("small", "‘mask.png’ is 30 × 10 pixels, its image 30 × 20"),
        ("text", "‘mask.png’ is not an image"),
        ("cut", "‘mask.png’ is damaged"),
    ],
)
def test_a_bad_mask_is_a_problem_and_its_image_is_not(
    listing: Callable[..., Listing], tmp_path: Path, harm: str, words: str
) -> None:
    mask, whole = tmp_path / "mask.png", tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    Image.fromarray(noise | 1).save(whole)
    if harm == "small":
        Image.new("L", (30, 10)).save(mask)
    elif harm == "text":
        mask.write_text("no mask")
    elif harm == "cut":
        mask.write_bytes(whole.read_bytes()[:300])
    entries = [
        entry(tmp_path / "a.png", mask=mask),
        replace(entry(tmp_path / "a.png", mask=whole), id="x"),
        replace(entry(tmp_path / "a.png"), id="y"),
    ]
    facts = listing(entries, mask_values=tuple(range(1, 256)))
    for _ in range(2):  # decoded, and from the cache
        dataset = ImageFileDataset(facts, 16)
        split = dataset.split("test")
        assert dataset.part_names == ("object",) and len(split) == 3
        assert len(dataset.problems) == 1 and dataset.problems[0].file == "a.png"
        assert words in dataset.problems[0].reason
        assert split.masks is not None
        assert [mask.any() for mask in split.masks] == [False, True, False]
    assert dataset.split("train").masks is None


def test_mask_values_are_grey_values_or_a_coloured_palettes_indices(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    values = np.zeros((20, 30), np.uint8)
    values[:, 15:] = 2
    values[10:, :] = 3
    files = []
    for name in ("grey", "palette", "grey-palette", "bits"):
        image = Image.fromarray(values)
        if name == "palette":
            image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
        elif name == "grey-palette":
            image = Image.fromarray((values == 2).astype(np.uint8))
            image.putpalette([0, 0, 0, 2, 2, 2])
        elif name == "bits":
            image = Image.fromarray(values == 2)
        image.save(tmp_path / f"{name}.png")
        files.append(replace(entry(tmp_path / "a.png", mask=tmp_path / f"{name}.png"), id=name))
    dataset = ImageFileDataset(listing(files, mask_values=(2, 255)), 20)
    masks = dataset.split("test").masks
    assert dataset.problems == () and masks is not None
    expected = np.zeros((20, 20), np.uint8)
    expected[:10, 10:] = 1
    np.testing.assert_array_equal(masks, np.repeat(expected[None], 4, axis=0))


def test_the_fingerprint_follows_boxes_masks_and_labels(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    mask = tmp_path / "mask.png"
    Image.new("L", (30, 20), 255).save(mask)
    plain = entry(tmp_path / "a.png")
    kinds = [
        plain,
        replace(plain, label=1),
        replace(plain, box=(1, 2, 3, 4)),
        replace(plain, trim=(0, 0, 0, 1)),
        replace(plain, mask=mask),
        replace(plain, mask=tmp_path / "gone.png"),
        replace(plain, modified=1),
    ]
    prints = [ImageFileDataset(listing([kind]), 16).fingerprint for kind in kinds]
    prints.append(ImageFileDataset(listing([kinds[4]], mask_values=(1,)), 16).fingerprint)
    prints.append(ImageFileDataset(replace(listing(), classes=CLASSES[::-1]), 16).fingerprint)
    assert len(set(prints)) == len(prints)
    assert ImageFileDataset(listing([kinds[4]]), 16).fingerprint == prints[4]
    moved = replace(kinds[4], file=tmp_path / "elsewhere" / "a.png")  # with its times
    assert ImageFileDataset(listing([moved]), 16).fingerprint == prints[4]
    Image.new("L", (30, 20), 0).save(mask)
    assert ImageFileDataset(listing([kinds[4]]), 16).fingerprint != prints[4]


def test_threads_share_one_decoding(listing: Callable[..., Listing]) -> None:
    heard: list[Event] = []
    dataset = ImageFileDataset(listing(), 16, heard.append)
    splits: list[object] = []
    threads = [
        threading.Thread(target=lambda: splits.append(dataset.split("test"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(splits) == 4 and all(split is splits[0] for split in splits)
    ends = [event for event in heard if isinstance(event, Progress) and event.done == event.total]
    assert len(ends) == 1


def test_file_sizes_are_those_of_the_upright_files(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    turned = object_file(tmp_path, 6, "jpg", 300, 200)
    (tmp_path / "bad.png").write_text("no image")
    dataset = ImageFileDataset(
        listing([entry(tmp_path / "bad.png"), entry(turned), entry(tmp_path / "a.png")]), 16
    )
    assert dataset.file_sizes("test").tolist() == [[200, 300], [30, 20]]
    assert dataset.problems[0].file == "bad.png" and dataset.counts()["test"] == 2


def test_empty_splits_and_classes_are_sentences(listing: Callable[..., Listing]) -> None:
    whole = listing()
    for empty in ("val", "train"):
        facts = replace(whole, splits={**whole.splits, empty: ()})
        with pytest.raises(UserError, match=f"‘pair’ lists no {empty} photographs"):
            ImageFileDataset(facts, 16).split(empty)  # type: ignore[arg-type]
    facts = replace(whole, splits={**whole.splits, "train": whole.splits["train"][:1]})
    with pytest.raises(UserError, match="No training photograph of ‘b’ is listed"):
        ImageFileDataset(facts, 16).split("train")


def test_a_second_opening_counts_what_the_first_one_could_read(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_text("no image")
    listed = listing([entry(tmp_path / "bad.png"), entry(tmp_path / "a.png")])
    first, again = ImageFileDataset(listed, 16), ImageFileDataset(listed, 16)
    assert again.counts()["test"] == 2  # nothing is decoded to count
    first.split("test")
    assert again.counts()["test"] == 1


def test_problems_of_the_listing_come_first(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_text("no image")
    found = Problem("link.png", "is a link that leads nowhere")
    entries = [entry(tmp_path / "a.png"), entry(tmp_path / "bad.png")]
    dataset = ImageFileDataset(listing(entries, problems=(found,)), 16)
    assert dataset.problems == (found,)
    assert [problem.file for problem in dataset.check()] == ["link.png", "bad.png"]


def varied(folder: Path) -> list[ImageEntry]:
    """Noise of three shapes, and a file that cannot be read."""
    rng, entries = np.random.default_rng(0), []
    for number in range(12):
        shape = ((30, 20), (20, 30), (24, 24))[number % 3]
        file = folder / f"v{number}.png"
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(file)
        entries.append(entry(file))
    (folder / "v5.png").write_bytes(b"nothing")
    return entries


def test_photographs_of_several_shapes_are_stored_whole(
    listing: Callable[..., Listing], tmp_path: Path
) -> None:
    entries, framing = varied(tmp_path), Framing(16, 0.8, "crop")
    split = ImageFileDataset(listing(entries), framing).split("test")
    assert split.stored is not None and split.uncropped is split.stored and len(split) == 11
    kept = [entry for entry in entries if entry.file.name != "v5.png"]
    for number, one in enumerate(kept):
        stored, _ = decode_framed(one.file, framing)
        assert min(stored.shape[:2]) == 20
        np.testing.assert_array_equal(split.stored.image(number), stored)
        np.testing.assert_array_equal(split.images[number], framing.centre(stored))
    again = ImageFileDataset(listing(entries), framing).split("test")
    np.testing.assert_array_equal(np.asarray(again.images), np.asarray(split.images))
    assert split.images.shape == (11, 16, 16, 3)


def test_every_framing_has_its_own_fingerprint_and_store(
    listing: Callable[..., Listing], tmp_path: Path, own_cache: Path
) -> None:
    facts, prints = listing(varied(tmp_path)), set()
    for framing in (
        16,
        Framing(16, 0.8, "square"),
        Framing(16, 0.8, "crop"),
        Framing(16, 0.7, "crop"),
        Framing(16, 1, "crop"),
        Framing(16, 0.8, "letterbox"),
    ):
        data = ImageFileDataset(facts, framing)
        prints.add(data.fingerprint)
        plain = data.framing.fit != "crop" and data.framing.short_side == 16
        assert (data.split("test").stored is None) == plain
    assert len(prints) == 6
    assert len(list(own_cache.glob("listed-test-*"))) == 6
    # A letterbox has no margin.
    assert ImageFileDataset(facts, Framing(16, 0.5, "letterbox")).fingerprint in prints
    assert ImageFileDataset(facts, Framing(16)).fingerprint in prints
