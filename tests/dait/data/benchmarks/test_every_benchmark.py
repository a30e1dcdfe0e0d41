"""What holds for each of them: fetched, unpacked, listed and decoded from the published layout."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer
from miniatures import MINIATURES, Mini, members

from dait.data.base import SPLITS
from dait.data.benchmarks.catalogue import benchmarks
from dait.data.benchmarks.obtain import available
from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError
from dait.events import Event, Progress

MakeMini = Callable[..., Mini]
pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.parametrize("name", MINIATURES)]

# A list that each cannot do without: (archive or file, member).
LISTS = {
    "cub-200-2011": ("CUB_200_2011.tgz", "CUB_200_2011/train_test_split.txt"),
    "nabirds": ("nabirds.tar.gz", "nabirds/hierarchy.txt"),
    "fgvc-aircraft": ("fgvc-aircraft-2013b.tar.gz", "fgvc-aircraft-2013b/data/images_box.txt"),
    "stanford-cars": ("car_devkit.tgz", "devkit/cars_train_annos.mat"),
    "stanford-dogs": ("lists.tar", "test_list.mat"),
    "oxford-iiit-pet": ("annotations.tar.gz", "annotations/test.txt"),
    "flowers-102": ("setid.mat", ""),
    "food-101": ("food-101.tar.gz", "food-101/meta/labels.txt"),
}


def test_the_catalogue_knows_it(name: str) -> None:
    benchmark = benchmarks()[name]
    assert benchmark.name == name and benchmark.homepage.startswith("http")
    assert benchmark.licence and benchmark.images > 7000
    assert all(one.md5 or one.sha256 for one in benchmark.published)


def test_it_is_fetched_unpacked_and_decoded(name: str, mini: MakeMini, server: FileServer) -> None:
    made = mini(name)
    heard: list[Event] = []
    assert not available(made.benchmark, made.folder)
    listing = made.listing(emit=heard.append)
    assert available(made.benchmark, made.folder)
    assert {event.what.split()[0] for event in heard if isinstance(event, Progress)} >= {
        "Downloading",
        "Unpacking",
        "Checking",
    }
    asked = len(server.asked)
    assert listing == made.listing() and len(server.asked) == asked
    ids = [entry.id for split in SPLITS for entry in listing.splits[split]]
    assert len(set(ids)) == len(ids)
    data = ImageFileDataset(listing, 16)
    problems = len(listing.problems)
    for split in SPLITS:
        decoded = data.split(split)
        assert decoded.images.shape[1:] == (16, 16, 3) and len(decoded) > 0
        assert set(decoded.labels.tolist()) == set(range(len(data.classes)))
    bad = {"american_bulldog_99"} if name == "oxford-iiit-pet" else set()
    assert {Path(problem.file).stem for problem in data.problems[problems:]} == bad


def test_the_test_split_is_never_held_out_from(name: str, mini: MakeMini) -> None:
    made = mini(name)
    listing = made.listing()
    again = made.listing()
    assert listing.splits["val"] == again.splits["val"]
    own = name in ("fgvc-aircraft", "flowers-102")
    assert any("held out by a fixed seed" in note for note in listing.notes) != own
    for label in range(len(listing.classes)):
        assert any(entry.label == label for entry in listing.splits["val"])


def test_a_missing_image_is_a_problem(name: str, mini: MakeMini) -> None:
    made = mini(name)
    whole = made.listing()
    counts = {split: len(entries) for split, entries in whole.splits.items()}
    gone = whole.splits["test"][0]
    gone.file.unlink()
    if name == "flowers-102":  # its miniature has one image of a class
        assert made.listing().problems[0].file == gone.id
        return
    listing = made.listing()
    assert [problem.file for problem in listing.problems] == [gone.id]
    assert "not on the disk" in listing.problems[0].reason
    assert len(listing.splits["test"]) == counts["test"] - 1
    assert gone not in listing.splits["test"]


def test_a_missing_list_is_a_sentence(name: str, mini: MakeMini) -> None:
    made = mini(name)
    made.listing()
    archive, member = LISTS[name]
    if member:
        found = next((made.folder / "unpacked").rglob(Path(member).name))
        found.unlink()
        with pytest.raises(UserError, match=f"{re.escape(found.name)}’ is missing"):
            made.listing()
    else:
        (made.folder / "archives" / archive).write_bytes(b"MATLAB 5.0 MAT-file, cut short")
        with pytest.raises(UserError, match=f"{archive}’ .*no MATLAB file"):
            made.listing()


def test_a_folder_that_somebody_else_unpacked_needs_no_network(
    name: str, mini: MakeMini, server: FileServer
) -> None:
    made = mini(name)
    for published in made.benchmark.published:
        if published.packed:
            for member, data in members(made.files[published.file]).items():
                (made.folder / member).parent.mkdir(parents=True, exist_ok=True)
                (made.folder / member).write_bytes(data)
        else:
            (made.folder / published.file).write_bytes(made.files[published.file])
    assert available(made.benchmark, made.folder)
    assert made.listing().classes and server.asked == []


def test_half_a_folder_is_refused(name: str, mini: MakeMini) -> None:
    made = mini(name)
    whole = made.listing()
    for entry in [entry for split in SPLITS for entry in whole.splits[split]][:-1]:
        entry.file.unlink()
    with pytest.raises(UserError, match="unpacked half-way"):
        made.listing()


def test_archives_in_the_folder_are_used_and_may_go(
    name: str, mini: MakeMini, server: FileServer
) -> None:
    made = mini(name)
    (made.folder / "archives").mkdir(parents=True)
    for file, data in made.files.items():
        (made.folder / "archives" / file).write_bytes(data)
    heard: list[Event] = []
    listing = made.listing(emit=heard.append)
    assert server.asked == [] and any("may be removed" in str(event) for event in heard)
    for published in made.benchmark.published:
        if published.packed:
            (made.folder / "archives" / published.file).unlink()
    assert made.listing() == listing and server.asked == []


def test_an_unpacking_that_was_killed_is_done_again(name: str, mini: MakeMini) -> None:
    made = mini(name)
    listing = made.listing()
    packed = next(one for one in made.benchmark.published if one.packed)
    stem = packed.file.split(".")[0]
    into = made.folder / "unpacked" / stem
    # What a killed process leaves has another name, so nothing of it counts.
    left = into.with_name(f".{stem}.elsewhere-1-0123abcd.tmp")
    into.rename(left)
    first = next(file for file in left.rglob("*") if file.is_file())
    first.unlink()
    assert made.listing().splits.keys() == listing.splits.keys()
    assert into.is_dir() and made.listing().problems == ()
    shutil.rmtree(left)


def test_noise_in_the_archive_is_not_listed(name: str, mini: MakeMini) -> None:
    listing = mini(name).listing()
    for entry in (entry for split in SPLITS for entry in listing.splits[split]):
        assert entry.file.suffix == ".jpg" and "_rgb" not in entry.id
        assert entry.size == entry.file.stat().st_size
        assert entry.box is None or np.isfinite(entry.box).all()
