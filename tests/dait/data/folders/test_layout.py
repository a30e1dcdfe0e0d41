"""Folders as people have them: what is read, and the sentence for what is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dait.data.base import UNLABELLED
from dait.data.folders.layout import natural_key, read_layout
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
    assert layout.problems == () and layout.left_out == ()
    read_as = f"Read as splits: ‘{val}’ as val."
    assert layout.notes == (() if val == "val" else (read_as,))


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


def left(root: Path) -> list[tuple[int, str]]:
    return [(found.count, found.first) for found in read_layout(root).left_out]


def test_photographs_below_a_class_are_of_the_class(root: Path, photos: Photos) -> None:
    for name in ("ant", "bee"):
        photos(name, 4)
        photos(f"{name}/2023", 10)
        photos(f"{name}/2024/spring", 1)
    layout = read_layout(root)
    assert sum(len(found) for found in layout.splits.values()) == 30
    assert layout.classes == ("ant", "bee") and layout.left_out == ()
    assert "22 photographs are in folders below their class" in layout.notes[0]
    assert "‘ant/2023/img1.png’" in layout.notes[0]


def test_folders_below_a_class_that_may_be_something_else(root: Path, photos: Photos) -> None:
    for name in ("ant", "bee"):
        photos(name, 4)
    photos("ant/bee", 2)
    photos("ant/test", 3)
    photos("ant/Masks", 4)
    layout = read_layout(root)
    assert sum(len(found) for found in layout.splits.values()) == 8
    assert left(root) == [
        (2, "ant/bee/img1.png"),
        (4, "ant/Masks/img1.png"),
        (3, "ant/test/img1.png"),
    ]
    reasons = " ".join(found.reason for found in layout.left_out)
    assert "another class" in reasons and "‘Masks’" in reasons and "split/class" in reasons


def test_photographs_two_folders_deep_only_are_refused(root: Path, photos: Photos) -> None:
    for name in ("animals/cat", "animals/dog", "fruit/apple", "fruit/pear"):
        photos(name, 4)
    refuses(root, "two folders deep only.*animals/cat/img1.png")
    shutil.rmtree(root / "fruit")
    refuses(root, "two folders deep only.*Did you mean .*animals’")


def test_images_in_no_class_are_counted(root: Path, photos: Photos) -> None:
    for split in ("train", "val", "test"):
        for name in ("ant", "bee"):
            photos(f"{split}/{name}", 3)
    photos("", 2)
    photos("train", 5)
    photos("extra/ant", 4)
    (root / "train" / "ant" / "phone.HEIC").touch()
    (root / "extra" / "camera.cr2").touch()
    (root / "test" / "bee" / ".seen.jpg").touch()
    (root / "extra" / "notes.txt").touch()
    layout = read_layout(root)
    assert {name: len(found) for name, found in layout.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), 6
    )
    found = {part.first: (part.count, part.reason) for part in layout.left_out}
    assert {first: count for first, (count, _) in found.items()} == {
        "img4.png": 2,
        "train/img3.png": 5,
        "extra/ant/img1.png": 4,
        "train/ant/phone.HEIC": 1,
        "extra/camera.cr2": 1,
        "test/bee/.seen.jpg": 1,
    }
    assert "‘extra’" in found["extra/ant/img1.png"][1]
    assert ".heic" in found["train/ant/phone.HEIC"][1] and "JPEG" in found["extra/camera.cr2"][1]
    assert layout.ignored == {".txt": 1} and layout.problems == ()


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (("Training", "dev", "Testing"), ""),
        (("train", "Validation", "holdout"), ""),
        (("TRAIN", "valid", "Test"), ""),
        (("training_set", "dev-set", "test_set"), ""),
        (("train", "dev", "val", "test"), "dev"),
        (("train", "val", "test", "Hold-Out"), "Hold-Out"),
    ],
)
def test_words_for_splits(
    root: Path, photos: Photos, words: tuple[str, ...], left_out: str
) -> None:
    for number, word in enumerate(words, start=1):
        for name in ("ant", "bee"):
            photos(f"{word}/{name}", number)
    layout = read_layout(root)
    used = [word for word in words if word != left_out]
    for split, word in zip(("train", "val", "test"), used, strict=True):
        assert {photo.id.partition("/")[0] for photo in layout.splits[split]} == {word}  # type: ignore[index]
        assert word == split or f"‘{word}’ as {split}" in layout.notes[0]
    count = 2 * (1 + words.index(left_out)) if left_out else 0
    assert [part.count for part in layout.left_out] == ([count] if left_out else [])


@pytest.mark.parametrize("litter", ["@eaDir", "$RECYCLE.BIN", "System Volume Information"])
def test_what_systems_leave_is_no_class(root: Path, photos: Photos, litter: str) -> None:
    for name in ("ant", "bee", litter, f"ant/{litter}"):
        photos(name, 3)
    layout = read_layout(root)
    assert layout.classes == ("ant", "bee") and layout.left_out == ()
    assert sum(len(found) for found in layout.splits.values()) == 6


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_both_unicode_forms_are_one_class(root: Path, photos: Photos) -> None:
    for split, form in (("train", COMPOSED), ("val", DECOMPOSED), ("test", DECOMPOSED)):
        photos(f"{split}/{form}", 3)
        photos(f"{split}/tea", 3)
    photos(f"train/{DECOMPOSED}", 3)  # beside the other, with files of the same names
    layout = read_layout(root)
    assert layout.classes == (COMPOSED, "tea")
    assert [len(found) for found in layout.splits.values()] == [9, 6, 6]
    assert layout.splits["test"][0].id == f"test/{COMPOSED}/img1.png"
    everything = [photo.id for found in layout.splits.values() for photo in found]
    assert len(set(everything)) == len(everything)
    assert all(photo.file.is_file() for found in layout.splits.values() for photo in found)
    assert "two Unicode forms" in layout.notes[0]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_in_a_circle_is_not_followed(root: Path, photos: Photos) -> None:
    photos("a", 3)
    photos("b", 3)
    (root / "a" / "again").symlink_to(root, target_is_directory=True)
    (root / "b" / "other").symlink_to(root / "a", target_is_directory=True)
    layout = read_layout(root)
    assert layout.classes == ("a", "b")
    assert {problem.file for problem in layout.problems} == {"a/again", "b/other/again"}


@pytest.mark.parametrize("word", ["unlabelled", "unlabeled", "Unlabelled_Images"])
def test_images_without_labels_beside_splits(root: Path, photos: Photos, word: str) -> None:
    for name in ("a", "b"):
        photos(f"train/{name}", 2)
        photos(f"val/{name}", 1)
        photos(f"test/{name}", 1)
    photos(word, 2)
    photos(f"{word}/a/more", 1)
    layout = read_layout(root)
    assert layout.classes == ("a", "b") and layout.left_out == () and layout.problems == ()
    names = [f"{word}/img1.png", f"{word}/img2.png", f"{word}/a/more/img1.png"]
    assert ids(root, "unlabelled") == names
    assert {photo.label for photo in layout.splits["unlabelled"]} == {UNLABELLED}
    read_as = [] if word == "unlabelled" else [f"Read as splits: ‘{word}’ as unlabelled."]
    assert list(layout.notes) == [
        *read_as,
        f"‘{word}’ holds 3 images without labels.",
        f"The names of the folders in ‘{word}’ (‘a’) are not read as labels.",
    ]


@pytest.mark.parametrize("below", ["", "/x"])
def test_images_without_labels_beside_classes(root: Path, photos: Photos, below: str) -> None:
    for name in ("a", "b"):
        photos(name, 5)
    photos(f"unlabelled{below}", 3)
    layout = read_layout(root)
    assert layout.classes == ("a", "b") and len(layout.splits["unlabelled"]) == 3
    assert sum(len(found) for found in layout.splits.values()) == 13


def test_two_folders_of_images_without_labels_are_refused(root: Path, photos: Photos) -> None:
    for name in ("a", "b", "unlabelled", "unlabeled"):
        photos(name, 5)
    refuses(root, "which mean the same split \\(unlabelled\\). Keep one")


def test_an_empty_folder_of_images_without_labels_is_none(root: Path, photos: Photos) -> None:
    for name in ("a", "b", "unlabelled"):
        photos(name, 0 if name == "unlabelled" else 5)
    layout = read_layout(root)
    assert "unlabelled" not in layout.splits and "holds 0 images" in layout.notes[-1]
