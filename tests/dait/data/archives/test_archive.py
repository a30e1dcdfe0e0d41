"""Archives of photographs, as folders are packed by different programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dait.data.archives.archive import list_archive
from dait.data.archives.destination import DEFAULT_LIMITS, SPACE_LIMITS, ArchiveLimits, limits_here
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import Listing
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.events import Event, Progress

Photos = Callable[[str, int], None]


@pytest.fixture
def folder(root: Path, photos: Photos) -> Path:
    """Two classes of five photographs, in ``photos/``."""
    photos("cat", 5)
    photos("dog", 5)
    return root


def packed(folder: Path, kind: str, inside: str = "") -> Path:
    """The folder's contents, below ``inside``, as a zip or a tar."""
    archive = folder.parent / f"My pets.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as pack:
            for file in sorted(folder.rglob("*")):
                pack.write(file, os.path.normpath(Path(inside) / file.relative_to(folder)))
    else:
        with tarfile.open(archive, f"w:{kind.rpartition('.')[2]}") as pack:  # type: ignore[call-overload]
            pack.add(folder, inside or ".")
    return archive


def ids(listing: Listing) -> list[str]:
    return sorted(entry.id for entries in listing.splits.values() for entry in entries)


EVERY_PHOTO = [f"{name}/img{number}.png" for name in ("cat", "dog") for number in range(1, 6)]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
@pytest.mark.parametrize("inside", ["", "pets", "pets/photos"])
def test_it_is_read_as_a_folder_is(folder: Path, own_cache: Path, kind: str, inside: str) -> None:
    events: list[Event] = []
    listing = list_archive(packed(folder, kind, inside), emit=events.append)
    assert ids(listing) == EVERY_PHOTO
    assert listing.name == "My pets"
    assert {name: len(found) for name, found in listing.splits.items()} == {
        "train": 6,
        "val": 2,
        "test": 2,
    }
    done = [event.what for event in events if isinstance(event, Progress)]
    assert done[0].startswith("Reading My pets") and done[-1].startswith("Unpacking My pets")


def test_what_mac_os_adds_is_not_in_the_way(folder: Path, own_cache: Path) -> None:
    shutil.move(folder / "cat", folder / "pets" / "cat")
    shutil.move(folder / "dog", folder / "pets" / "dog")
    (folder / "__MACOSX" / "pets").mkdir(parents=True)
    (folder / "__MACOSX" / "pets" / "._cat").touch()
    (folder / ".DS_Store").touch()
    (folder / "read me.txt").touch()
    assert ids(list_archive(packed(folder, "zip"))) == EVERY_PHOTO


def test_a_single_class_or_split_is_not_looked_through(folder: Path, own_cache: Path) -> None:
    shutil.move(folder / "dog", folder.parent / "dog")
    with pytest.raises(UserError, match=r"‘My pets\.zip’ has only one class, ‘cat’"):
        list_archive(packed(folder, "zip"))
    for name in ("cat", "../dog"):
        shutil.move(folder / name, folder / "train" / Path(name).name)
    with pytest.raises(UserError, match=r"‘My pets\.zip’ has ‘train’ but no ‘test’ folder"):
        list_archive(packed(folder, "zip"))


def test_a_table_in_the_archive(folder: Path, own_cache: Path) -> None:
    shutil.move(folder / "cat", folder / "images")
    for file in (folder / "dog").iterdir():
        file.rename(folder / "images" / f"d{file.name}")
    (folder / "dog").rmdir()
    names = sorted(file.name for file in (folder / "images").iterdir())
    rows = [f"images/{name},{'dog' if name[0] == 'd' else 'cat'}" for name in names]
    (folder / "labels.csv").write_text("\n".join(["image,class", *rows]))
    for inside in ("", "pets"):
        listing = list_archive(packed(folder, "zip", inside))
        assert [info.key for info in listing.classes] == ["cat", "dog"]
        assert ids(listing) == [f"images/{name}" for name in names]
        assert "labels.csv" in listing.notes[0]


def test_the_same_archive_is_unpacked_once(folder: Path, own_cache: Path) -> None:
    """An upload has a new path and a new time each time."""
    archive = packed(folder, "zip")
    first = list_archive(archive)
    unpacked = {path: path.stat().st_ctime_ns for path in (own_cache / "archives").rglob("*")}
    again = archive.parent / "upload" / "pets again.zip"
    again.parent.mkdir()
    shutil.copyfile(archive, again)
    second = list_archive(again)
    assert {
        path: path.stat().st_ctime_ns for path in (own_cache / "archives").rglob("*")
    } == unpacked
    assert second.name == "pets again"
    prints = [ImageFileDataset(listing, 16).fingerprint for listing in (first, second)]
    assert prints[0] == prints[1]
    shutil.rmtree(own_cache / "archives")  # unpacked anew, it is still the same
    assert ImageFileDataset(list_archive(archive), 16).fingerprint == prints[0]


def test_other_pixels_are_another_data_set(folder: Path, own_cache: Path) -> None:
    """Same names, lengths and times in the archive: only the bytes differ."""
    archive = packed(folder, "tar")
    before = ImageFileDataset(list_archive(archive), 16)
    times, data = archive.stat(), bytearray(archive.read_bytes())
    one, other = (data.index((folder / f"{name}/img1.png").read_bytes()) for name in ("cat", "dog"))
    length = (folder / "cat/img1.png").stat().st_size
    assert length == (folder / "dog/img1.png").stat().st_size
    data[one : one + length], data[other : other + length] = (
        data[other : other + length],
        data[one : one + length],
    )
    changed = archive.with_name("changed.tar")
    changed.write_bytes(bytes(data))
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = ImageFileDataset(list_archive(changed), 16)
    assert after.fingerprint != before.fingerprint
    everything = [
        {
            name: image.tobytes()
            for split in ("train", "val", "test")
            for name, image in zip(
                dataset.split(split).ids, dataset.split(split).images, strict=True
            )
        }
        for dataset in (before, after)
    ]
    assert everything[0]["cat/img1.png"] == everything[1]["dog/img1.png"]


def test_nothing_stays_of_an_archive_that_cannot_be_used(folder: Path, own_cache: Path) -> None:
    shutil.rmtree(folder / "dog")
    archive = packed(folder, "zip")
    with pytest.raises(UserError):
        list_archive(archive)
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"not a \.zip"):
        list_archive(archive)
    assert list((own_cache / "archives").iterdir()) == []


def test_limits_reach_the_unpacking(folder: Path, own_cache: Path) -> None:
    with pytest.raises(UserError, match="more than 5 files"):
        list_archive(packed(folder, "zip"), limits=ArchiveLimits(files=5))


def test_mistakes_are_sentences(folder: Path, own_cache: Path) -> None:
    with pytest.raises(UserError, match="no archive"):
        list_archive(folder / "gone.zip")
    with pytest.raises(UserError, match="is a folder"):
        list_archive(folder)
    with pytest.raises(UserError, match="leave some for training"):
        list_archive(packed(folder, "zip"), val_fraction=0.9)
    assert not (own_cache / "archives").exists()


def test_strangers_on_a_space_get_less_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert limits_here() == DEFAULT_LIMITS
    monkeypatch.setenv("SPACE_ID", "someone/studio")
    assert limits_here() == SPACE_LIMITS
    assert SPACE_LIMITS.bytes < DEFAULT_LIMITS.bytes and SPACE_LIMITS.files < DEFAULT_LIMITS.files


def test_files_and_folders_beside_the_data(folder: Path, own_cache: Path) -> None:
    for name in ("cat", "dog"):
        shutil.move(folder / name, folder / "pets" / name)
    shutil.copytree(folder / "pets" / "cat", folder / "samples")
    shutil.copy(folder / "pets" / "cat" / "img1.png", folder / "cover.png")
    (folder / "docs").mkdir()
    (folder / "docs" / "read me.pdf").touch()
    listing = list_archive(packed(folder, "zip"))
    assert ids(listing) == EVERY_PHOTO
    assert [(left.count, left.first) for left in listing.left_out] == [(6, "cover.png")]
    assert "‘pets’" in listing.left_out[0].reason


def test_an_archive_of_archives(folder: Path, own_cache: Path) -> None:
    inner = packed(folder, "zip")
    shutil.rmtree(folder)
    folder.mkdir()
    for number in range(3):
        shutil.copy(inner, folder / f"{number}.zip")
    with pytest.raises(UserError, match=r"holds archives \(\.zip\) and no photographs"):
        list_archive(packed(folder, "tar"))
    assert list((own_cache / "archives").iterdir()) == []


def test_a_guess_is_among_the_notes(folder: Path, own_cache: Path) -> None:
    archive = folder.parent / "p.tar"
    with tarfile.open(archive, "w", encoding="gbk", format=tarfile.GNU_FORMAT) as pack:
        pack.add(folder / "cat", "苹果")
        pack.add(folder / "dog", "香蕉")
    for _ in range(2):
        listing = list_archive(archive)
        assert {info.key for info in listing.classes} == {"苹果", "香蕉"}
        assert "GBK" in listing.notes[0]


def test_a_killed_unpacking_is_swept_by_any_start(own_cache: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [own_cache / kind / f".0123.{dead.pid}-0123abcd.tmp" for kind in ("archives", "hub")]
    for kept in left:
        (kept / "cat").mkdir(parents=True)
    open_dataset("fieldguide", size=32)
    assert not any(kept.exists() for kept in left)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_images_without_labels_in_an_archive(folder: Path, photos: Photos, kind: str) -> None:
    photos("unlabeled/anything", 3)
    listing = list_archive(packed(folder, kind, "My pets"))
    assert [entry.id for entry in listing.splits["unlabelled"]] == [
        f"unlabeled/anything/img{number}.png" for number in (1, 2, 3)
    ]
    assert [info.key for info in listing.classes] == ["cat", "dog"] and listing.left_out == ()
