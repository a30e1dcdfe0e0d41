"""Folders as people have them: what is read, and the sentence for what is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dait.data.layout import natural_key, read_layout
from dait.errors import UserError

Photos = Callable[[str, int], None]


def ids(root: Path, split: str, **options: float) -> list[str]:
    layout = read_layout(root, **options)  # type: ignore[arg-type]
    return [photo.id for photo in layout.splits[split]]  # type: ignore[index]


def refuses(root: Path, words: str, **options: float) -> None:
    with pytest.raises(UserError, match=words):
        read_layout(root, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Validation"])
def test_splits_with_classes(root: Path, photos: Photos, val: str) -> None:
    for split, count in (("train", 3), (val, 1), ("test", 2)):
        photos(f"{split}/dog", count)
        photos(f"{split}/Cat", count)
    layout = read_layout(root)
    assert layout.classes == ("Cat", "dog")
    assert {name: len(found) for name, found in layout.splits.items()} == {
        "train": 6,
        "val": 2,
        "test": 4,
    }
    assert [p.id for p in layout.splits["val"]] == [f"{val}/Cat/img1.png", f"{val}/dog/img1.png"]
    assert [p.label for p in layout.splits["test"]] == [0, 0, 1, 1]
    assert layout.problems == () and layout.notes == ()


def test_a_missing_validation_split_is_held_out(root: Path, photos: Photos) -> None:
    for name in ("a", "b"):
        photos(f"train/{name}", 20)
        photos(f"test/{name}", 2)
    layout = read_layout(root)
    held, kept = layout.splits["val"], layout.splits["train"]
    assert [photo.label for photo in held] == [0, 0, 1, 1] and len(kept) == 36
    assert not {photo.id for photo in held} & {photo.id for photo in kept}
    assert "4 training photographs are held out" in layout.notes[0]
    assert ids(root, "val") == [photo.id for photo in held]
    assert ids(root, "val", split_seed=1) != [photo.id for photo in held]
    assert len(ids(root, "val", val_fraction=0.5)) == 20
    photos("train/c", 1)
    refuses(root, "‘c’: fewer than 2 photographs")


def test_classes_alone_are_split(root: Path, photos: Photos) -> None:
    for name, count in (("a", 3), ("b", 10), ("c", 50)):
        photos(name, count)
    layout = read_layout(root)
    per_class = {
        split: [sum(photo.label == label for photo in found) for label in range(3)]
        for split, found in layout.splits.items()
    }
    assert per_class == {"train": [1, 7, 35], "val": [1, 1, 5], "test": [1, 2, 10]}
    everything = [photo.id for found in layout.splits.values() for photo in found]
    assert len(set(everything)) == len(everything) == 63
    assert ids(root, "test") == [photo.id for photo in layout.splits["test"]]
    assert ids(root, "test", split_seed=5) != ids(root, "test")


def test_one_more_photograph_moves_few(root: Path, photos: Photos) -> None:
    photos("a", 40)
    photos("b", 40)
    before = set(ids(root, "test"))
    photos("a", 1)
    assert len(before - set(ids(root, "test"))) <= 1


def test_classes_too_small_to_split_are_named(root: Path, photos: Photos) -> None:
    photos("a", 3)
    photos("b", 2)
    photos("c", 1)
    refuses(root, "‘b’ and ‘c’: fewer than 3 photographs")


def test_train_may_be_a_class(root: Path, photos: Photos) -> None:
    for name in ("bus", "car", "train"):
        photos(name, 3)
    assert read_layout(root).classes == ("bus", "car", "train")


def test_order_is_natural(root: Path, photos: Photos) -> None:
    for name in ("class10", "class2", "Class1"):
        photos(name, 12)
    layout = read_layout(root)
    assert layout.classes == ("Class1", "class2", "class10")
    first = [photo.id for photo in layout.splits["train"] if photo.label == 0]
    assert first == sorted(first, key=natural_key) and first != sorted(first)


def test_other_files_are_counted_and_litter_is_not(root: Path, photos: Photos) -> None:
    photos("a", 3)
    photos("b", 3)
    for name in ("notes.txt", "more.TXT", "README", ".hidden.jpg", "Thumbs.db", "._img1.png"):
        (root / "a" / name).touch()
    (root / "a" / "shout.PNG").write_bytes((root / "a" / "img1.png").read_bytes())
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    layout = read_layout(root)
    assert layout.ignored == {".txt": 2, "(none)": 1}
    assert sum(len(found) for found in layout.splits.values()) == 7
    assert layout.classes == ("a", "b")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_out_are_not_followed(root: Path, photos: Photos, tmp_path: Path) -> None:
    photos("a", 3)
    photos("b", 3)
    (tmp_path / "secret").mkdir()
    outside = tmp_path / "secret" / "face.png"
    outside.write_bytes((root / "a" / "img1.png").read_bytes())
    (root / "a" / "out.png").symlink_to(outside)
    (root / "a" / "dead.png").symlink_to(root / "gone.png")
    (root / "a" / "in.png").symlink_to(root / "b" / "img1.png")
    (root / "c").symlink_to(tmp_path / "secret", target_is_directory=True)
    layout = read_layout(root)
    assert layout.classes == ("a", "b")
    everything = {photo.id for found in layout.splits.values() for photo in found}
    assert "a/in.png" in everything and not everything & {"a/out.png", "a/dead.png"}
    reasons = {problem.file: problem.reason for problem in layout.problems}
    assert set(reasons) == {"a/out.png", "a/dead.png", "c"}
    assert "leads out" in reasons["c"] and "nowhere" in reasons["a/dead.png"]
    through = tmp_path / "through"
    through.symlink_to(root, target_is_directory=True)  # the folder itself may be a link
    assert read_layout(through).classes == ("a", "b")


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
def test_names_that_cannot_be_shown_are_problems(root: Path, photos: Photos) -> None:
    photos("a", 3)
    photos("b", 3)
    pixels = (root / "a" / "img1.png").read_bytes()
    (root / "a" / "line\nbreak.png").write_bytes(pixels)
    (root / "a" / "Größe 3\u202fPM 🦜.png").write_bytes(pixels)
    layout = read_layout(root)
    assert len(layout.problems) == 1 and "control characters" in layout.problems[0].reason
    assert sum(len(found) for found in layout.splits.values()) == 7


def test_sentences_for_folders_that_cannot_be_used(root: Path, photos: Photos) -> None:
    refuses(root / "nowhere", "There is no folder")
    refuses(root, "holds no class folders")
    (root / "loose.jpg").touch()
    refuses(root / "loose.jpg", "is a file, not a folder")
    (root / "a").mkdir()
    refuses(root, "hold no photographs")
    (root / "a" / "photo.heic").touch()
    refuses(root, r"found 1 \.heic")
    photos("a", 5)
    refuses(root, "only one class, ‘a’")
    (root / "b").mkdir()
    refuses(root, "in ‘b’ of")


def test_sentences_for_splits_that_cannot_be_used(root: Path, photos: Photos) -> None:
    photos("train/a", 3)
    photos("train/b", 3)
    refuses(root, "has ‘train’ but no ‘test’")
    photos("test/a", 1)
    read_layout(root)
    photos("test/c", 1)
    refuses(root, "‘c’ is in ‘test’ but not in ‘train’")
    (root / "train" / "c").mkdir()
    refuses(root, "in ‘c’ of")
    photos("train/c", 2)
    (root / "val" / "a").mkdir(parents=True)
    refuses(root, "class folders of .*val.* hold no photographs")
    photos("val/a", 1)
    assert read_layout(root).notes == (
        "2 of 3 classes have no photograph in ‘val’.",
        "1 of 3 classes have no photograph in ‘test’.",
    )
    photos("valid/a", 1)
    refuses(root, "both ‘val’ and ‘valid’")


def test_train_must_be_there(root: Path, photos: Photos) -> None:
    photos("test/a", 3)
    photos("val/a", 3)
    refuses(root, "has ‘test’ and ‘val’ but no ‘train’|has ‘val’ and ‘test’ but no ‘train’")


def test_splits_need_class_folders(root: Path, photos: Photos) -> None:
    photos("train", 3)
    photos("test", 3)
    refuses(root, "no class folders in them")


def test_a_folder_too_high_up_gets_a_hint(root: Path, photos: Photos) -> None:
    photos("inner/train/a", 3)
    refuses(root, "Did you mean .*inner")


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.1, 0.0), (0.5, 0.5), (-1.0, 0.2)])
def test_fractions_must_leave_something(
    root: Path, photos: Photos, val: float, test: float
) -> None:
    photos("a", 3)
    photos("b", 3)
    refuses(root, "each must be above 0", val_fraction=val, test_fraction=test)
