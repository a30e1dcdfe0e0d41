"""Tables of photographs as people write them, by hand, from a spreadsheet, with mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dait.data.base import UNLABELLED
from dait.data.folders import table as module
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import Listing
from dait.data.folders.table import is_table, list_table
from dait.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "birds"
    (root / "images").mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (20, 18), (number * 20, 0, 0)).save(root / "images" / f"{number}.png")
    return root


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "labels.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def rows(numbers: range, label: str, split: str = "", between: str = ",") -> str:
    tail = between + split if split else ""
    return "".join(f"images/{number}.png{between}{label}{tail}\n" for number in numbers)


def ids(listing: Listing) -> dict[str, list[str]]:
    return {name: [entry.id for entry in found] for name, found in listing.splits.items()}


def labels(listing: Listing, split: str) -> list[str]:
    entries = listing.splits[split]  # type: ignore[index]
    return [listing.classes[entry.label].key for entry in entries]


SIX_EACH = rows(range(6), "finch") + rows(range(6, 12), "wren")


def test_without_splits_it_is_split_as_a_folder_is(folder: Path) -> None:
    listing = list_table(write(folder, "path,label\n" + SIX_EACH))
    assert {name: len(found) for name, found in listing.splits.items()} == {
        "train": 8,
        "val": 2,
        "test": 2,
    }
    assert [info.key for info in listing.classes] == ["finch", "wren"]
    assert listing.name == "labels" and not listing.problems
    assert "fixed seed (0)" in listing.notes[0]
    assert ids(list_table(folder / "labels.csv", split_seed=1)) != ids(listing)
    found = sorted(name for names in ids(listing).values() for name in names)
    assert found == sorted(f"images/{number}.png" for number in range(12))


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_splits_as_given(folder: Path, between: str) -> None:
    text = between.join(["\ufeffFilename", "Class", "Split", "photographer"]) + "\r\n"
    for numbers, split in ((range(6), "Train"), (range(6, 9), "valid"), (range(9, 12), "test")):
        for number in numbers:
            label = "10 wren" if number % 2 else "9 finch"
            cells = [f"images/{number}.png", f' "{label}"' if number == 3 else label, split, "x"]
            text += between.join(cells).replace(' "', '"') + "\r\n"
    listing = list_table(write(folder, text))
    assert [info.key for info in listing.classes] == ["9 finch", "10 wren"]  # natural order
    assert ids(listing)["val"] == [f"images/{number}.png" for number in (6, 7, 8)]
    assert labels(listing, "test") == ["10 wren", "9 finch", "10 wren"]
    assert listing.notes == ("Read as splits: ‘Train’ as train, ‘valid’ as val.",)
    assert listing.problems == () and listing.left_out == ()


def test_validation_is_held_out_where_no_row_is_for_it(folder: Path) -> None:
    text = "path,label,split\n" + rows(range(5), "a", "train") + rows(range(5, 10), "b", "train")
    listing = list_table(write(folder, text + rows(range(10, 12), "b", "test")), val_fraction=0.2)
    assert len(listing.splits["val"]) == 2 and len(listing.splits["train"]) == 8
    assert "2 training photographs are held out" in listing.notes[0]
    assert "1 of 2 classes have no photograph in ‘test’" in listing.notes[1]


def test_it_decodes(folder: Path, own_cache: Path) -> None:
    dataset = ImageFileDataset(list_table(write(folder, "path,label\n" + SIX_EACH)), 16)
    split = dataset.split("train")
    for name, image in zip(split.ids, split.images, strict=True):
        number = int(Path(name).stem)
        assert image[8, 8].tolist() == [number * 20, 0, 0]
    assert dataset.licence == "unknown (your own folder)"


def test_what_lies_beside_the_table(folder: Path) -> None:
    (folder / "classes.csv").write_text("class,coarse,description\nwren,small,A small bird.\n")
    (folder / "LICENSE").write_text("CC0\n")
    listing = list_table(write(folder, "path,label\n" + SIX_EACH))
    assert listing.licence == "CC0"
    assert listing.classes[1].group == "small"
    assert listing.classes[1].descriptions == ("A small bird.",)


def test_rows_that_cannot_be_used(folder: Path) -> None:
    outside = folder.parent / "outside.png"
    Image.new("RGB", (9, 9)).save(outside)
    (folder / "link.png").symlink_to(outside)
    (folder / "way").symlink_to(folder.parent)
    bad = {
        "images/99.png": "is not there (row 14)",
        "../outside.png": "is not in the table's folder (row 15)",
        str(outside): "is not in the table's folder (row 16)",
        "link.png": "leads out of the table's folder (row 17)",
        "way/outside.png": "leads out of the table's folder (row 18)",
        "images": "is not a file (row 19)",
        "images/./3.png": "is in row 5 already (row 20)",
    }
    text = "path,label\n" + SIX_EACH + "".join(f"{name},finch\n" for name in bad)
    text += ",finch\n\nimages/3.png,\nimages/\x07.png,finch\nimages/4.png,fi\x1bnch\nimages/5.png\n"
    listing = list_table(write(folder, text))
    found = [(problem.file, problem.reason) for problem in listing.problems]
    assert len(found) == len(bad) + 5
    for (file, reason), (name, expected) in zip(found, bad.items(), strict=False):
        assert file == name and expected in reason
    assert found[7:] == [
        ("row 21", "names no file (row 21)"),
        ("images/3.png", "has no label (row 23)"),
        ("'images/\\x07.png'", "has control characters in its name (row 24)"),
        ("images/4.png", "has a label that is too long or has control characters (row 25)"),
        ("images/5.png", "has no label (row 26)"),
    ]
    assert sum(len(entries) for entries in listing.splits.values()) == 12


def test_absolute_and_windows_paths_inside_the_folder(folder: Path) -> None:
    text = "path,label\n" + SIX_EACH.replace("images/1.png", str(folder / "images" / "1.png"))
    listing = list_table(write(folder, text.replace("images/7.png", ".\\images\\7.png")))
    assert not listing.problems
    assert {"images/1.png", "images/7.png"} <= {
        name for all in ids(listing).values() for name in all
    }


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "begins with ‘’.*path,label,split"),
        ("cat.jpg,cat\n", "begins with ‘cat.jpg,cat’"),
        ("path,colour\n", "path,label"),
        ("path,label\n", "No row"),
        ("path,label\nimages/99.png,a\n", "No row.*images/99.png.*not there"),
        ("path,label\n" + rows(range(12), "a"), "only one class, ‘a’"),
        ("path,label\n" + rows(range(2), "a") + rows(range(2, 12), "b"), "‘a’: fewer than 3"),
        ("path,label,split\n" + rows(range(3), "a", "train") + "x,a,tset\n", "Row 5.*‘tset’"),
        ("path,label,split\nimages/1.png,a\n", "Row 2.*split ‘’"),
        ("path,label,split\n" + rows(range(5), "a", "train"), "no usable row for.*‘test’"),
        (
            "path,label,split\n"
            + rows(range(4), "a", "train")
            + rows(range(4, 8), "b", "train")
            + rows(range(8, 9), "c", "test"),
            "‘c’ in ‘test’ but not in ‘train’",
        ),
        (
            "path,label,split\nimages/1.png,a,train\n"
            + rows(range(4, 8), "b", "train")
            + rows(range(8, 9), "b", "test"),
            "‘a’: fewer than 2.*‘val’",
        ),
        ("path,label\nimages/\xe9.png,a\n".encode("latin-1"), "not UTF-8"),
        ("path,label\n" + "x" * 200_000 + ",a\n", "not a CSV file"),
    ],
)
def test_mistakes_are_sentences(folder: Path, text: str | bytes, match: str) -> None:
    with pytest.raises(UserError, match=match):
        list_table(write(folder, text))


def test_it_has_bounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(folder, "path,label\n" + SIX_EACH)
    monkeypatch.setattr(module, "MAX_ROWS", 12)
    list_table(table)
    monkeypatch.setattr(module, "MAX_ROWS", 11)
    with pytest.raises(UserError, match="more than 11 rows"):
        list_table(table)
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="at most"):
        list_table(table)
    with pytest.raises(UserError, match="no table"):
        list_table(folder / "gone.csv")


def test_what_begins_like_a_table(folder: Path) -> None:
    assert is_table(write(folder, "image;label\n"))
    assert not is_table(write(folder, "class,coarse,description\n"))
    assert not is_table(write(folder, b"\xff\xfe"))
    assert not is_table(folder)


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_unicode_forms_of_labels_and_paths(folder: Path) -> None:
    """Labels in both forms are one class; a path is found in whichever form the disk has it."""
    (folder / "images").rename(folder / DECOMPOSED)
    text = "path,label\n" + rows(range(3), COMPOSED) + rows(range(3, 6), DECOMPOSED)
    text = (text + rows(range(6, 12), "tea")).replace("images/", f"{COMPOSED}/")
    (folder / "classes.csv").write_text(f"class,coarse\n{DECOMPOSED},hot\n")
    listing = list_table(write(folder, text))
    assert [info.key for info in listing.classes] == [COMPOSED, "tea"]
    assert listing.classes[0].group == "hot"
    assert not listing.problems and not listing.left_out
    found = [entry for entries in listing.splits.values() for entry in entries]
    assert len(found) == 12 and all(entry.file.is_file() for entry in found)
    assert all(entry.id.startswith(f"{COMPOSED}/") for entry in found)


def test_images_that_no_row_names_are_counted(folder: Path) -> None:
    text = "path,label\n" + rows(range(5), "finch") + rows(range(6, 11), "wren")
    listing = list_table(write(folder, text + "images/99.png,wren\nimages/4.png,wren\n"))
    assert [(left.count, left.first) for left in listing.left_out] == [(2, "images/5.png")]
    assert len(listing.problems) == 2


def test_a_second_word_for_a_split_is_not_merged(folder: Path) -> None:
    text = "path,label,split\n"
    for at, split in enumerate(("Training", "dev", "test", "holdout")):
        text += rows(range(3 * at, 3 * at + 2), "finch", split)
        text += rows(range(3 * at + 2, 3 * at + 3), "wren", split)
    listing = list_table(write(folder, text))
    assert [len(found) for found in listing.splits.values()] == [3, 3, 3]
    assert "‘Training’ as train, ‘dev’ as val" in listing.notes[0]
    assert [(left.count, left.first) for left in listing.left_out] == [(3, "images/9.png")]
    assert "‘holdout’" in listing.left_out[0].reason


def test_rows_of_images_without_labels(folder: Path) -> None:
    text = (
        "path,label,split\n" + rows(range(4), "finch", "train") + rows(range(4, 8), "wren", "train")
    )
    text += rows(range(8, 9), "finch", "test") + rows(range(9, 10), "wren", "test")
    text += rows(range(10, 11), "", "Unlabeled") + rows(range(11, 12), "owl", "Unlabeled")
    listing = list_table(write(folder, text))
    found = listing.splits["unlabelled"]
    assert [entry.id for entry in found] == ["images/10.png", "images/11.png"]
    assert {entry.label for entry in found} == {UNLABELLED}
    assert [info.key for info in listing.classes] == ["finch", "wren"]
    assert listing.problems == () and listing.left_out == ()
    assert "Read as splits: ‘Unlabeled’ as unlabelled." in listing.notes
    assert "2 rows are of images without labels (‘unlabelled’)." in listing.notes
    assert "1 of these rows have a label, which is not read." in listing.notes
