"""Listing, checking and pruning what is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.stand_ins import Noise
from dait.data.augmentation.views import ViewPolicy
from dait.errors import UserError
from dait.storage.files import sweep
from dait.teachers.cache.check import check, description_of, differences
from dait.teachers.cache.inventory import CacheEntry, chosen, entries, remove, to_prune
from dait.teachers.cache.views import TeacherViews


class Projected:
    """A frozen teacher that is a random projection of the image, seeded."""

    logit_scale, reads_text, image_size, dim = 1.0, False, 16, 24

    def __init__(self, name: str = "projected", seed: int = 0) -> None:
        self.name, self.weights_hash = name, "same"
        self._matrix = torch.randn(768, 24, generator=torch.Generator().manual_seed(seed))

    def embed(self, images: Tensor) -> Tensor:
        return F.normalize((images - 0.5).flatten(1) @ self._matrix, dim=1)


def views_in(root: Path, teacher: Projected | None = None, count: int = 300) -> TeacherViews:
    data = Noise(count, 1, 16)
    return TeacherViews(teacher or Projected(), data, ViewPolicy("light"), root=root)  # type: ignore[arg-type]


def test_what_is_kept_is_listed(tmp_path: Path) -> None:
    assert entries(tmp_path / "nowhere") == []
    views = views_in(tmp_path)
    views.build([0, 1, 4])
    (views.kept().folder / "view-00004-from-00000256.npy").unlink()
    views_in(tmp_path, Projected("newer"), count=20).build([0])
    os.utime(tmp_path / views.kept().folder / "manifest.json", (5, 5))
    newer, older = entries(tmp_path)
    assert (newer.teacher, newer.views, newer.complete, newer.images) == ("newer", 1, 1, 20)
    assert (older.data, older.teacher, older.transform) == ("noise", "projected", "light")
    assert (older.views, older.complete, older.dim, older.last_used) == (3, 2, 24, 5)
    on_disk = sum(file.stat().st_size for file in older.folder.iterdir())
    assert older.bytes == on_disk > 300 * 24 * 2 * 2
    assert older.as_json()["folder"] == str(older.folder) and "facts" not in older.as_json()


def test_using_a_set_is_remembered(tmp_path: Path) -> None:
    views_in(tmp_path).build([0])
    manifest = next(tmp_path.glob("*/manifest.json"))
    os.utime(manifest, (5, 5))
    views_in(tmp_path).embeddings(0)
    assert time.time() - entries(tmp_path)[0].last_used < 3600


def test_a_folder_without_its_manifest_is_listed_and_can_go(tmp_path: Path) -> None:
    views_in(tmp_path).build([0])
    next(tmp_path.glob("*/manifest.json")).write_text("{")
    (entry,) = entries(tmp_path)
    assert (entry.data, entry.views, entry.complete) == ("unknown", 1, 0)
    remove(entry)
    assert entries(tmp_path) == []
    remove(entry)  # somebody else was faster


def test_what_is_kept_is_what_the_teacher_says(tmp_path: Path) -> None:
    views = views_in(tmp_path)
    views.build([0, 3])
    verdict = check(views, sample=40)
    assert verdict.good and verdict.cosine > 0.99999
    assert 32 <= verdict.checked <= 40 and verdict.damaged == ()


def test_another_teachers_embeddings_are_found_out(tmp_path: Path) -> None:
    views_in(tmp_path).build([0, 1])
    impostor = views_in(tmp_path, Projected(seed=1))  # of the same name and hash
    verdict = check(impostor, sample=32)
    assert not verdict.good and verdict.cosine < 0.9


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_one_wrong_row_is_found_where_it_is_looked_for(tmp_path: Path, value: float) -> None:
    views = views_in(tmp_path, count=40)
    views.build([0])
    (shard,) = views.kept().shards(0)
    rows = np.load(views.kept().path(shard))
    rows[17] = value
    np.save(views.kept().path(shard), rows)
    verdict = check(views_in(tmp_path, count=40), sample=40)
    assert not verdict.good and verdict.worst == (0, 17) and verdict.checked == 40


def test_a_cut_shard_is_found_and_left(tmp_path: Path) -> None:
    views = views_in(tmp_path)
    views.build([0])
    file = views.kept().path(views.kept().shards(0)[0])
    file.write_bytes(file.read_bytes()[:-2])
    verdict = check(views)
    assert not verdict.good and verdict.damaged == (file.name,) and file.exists()


def test_what_has_changed_is_said_in_words(tmp_path: Path) -> None:
    views = views_in(tmp_path)
    views.build([0])
    (entry,) = entries(tmp_path)
    assert differences(entry.facts, description_of(views)) == []
    now = description_of(views) | {"weights_hash": "other", "image_size": 32}
    assert differences(entry.facts, now) == [
        "weights hash was same, now other",
        "image size was 16, now 32",
    ]


def entry(
    key: str, size: int, days: float, data: str = "birds", teacher: str = "clip"
) -> CacheEntry:
    used = 1e9 - days * 86_400
    return CacheEntry(key, Path(key), data, teacher, "full", 0, 1, 1, 1, 1, size, used, {})


FOUND = [
    entry("aa1", 100, 1),
    entry("ab2", 200, 10, data="Flowers-102"),
    entry("b3", 300, 20, teacher="dino"),
    entry("c4", 400, 30, data="flowers"),
]


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ({}, ["aa1", "ab2", "b3", "c4"]),
        ({"older_than_days": 15}, ["b3", "c4"]),
        ({"data": "FLOWERS"}, ["ab2", "c4"]),
        ({"teacher": "din"}, ["b3"]),
        ({"data": "flowers", "older_than_days": 15}, ["c4"]),
        ({"most_bytes": 1000}, []),
        ({"most_bytes": 999}, ["c4"]),
        ({"most_bytes": 300}, ["c4", "b3"]),
        ({"most_bytes": 0, "data": "birds"}, ["b3", "aa1"]),
        ({"among": FOUND[:2], "older_than_days": 5}, ["ab2"]),
    ],
)
def test_what_is_pruned(conditions: dict[str, object], keys: list[str]) -> None:
    assert [e.key for e in to_prune(FOUND, now=1e9, **conditions)] == keys  # type: ignore[arg-type]


def test_keys_may_be_shortened_while_they_are_clear() -> None:
    assert [e.key for e in chosen(FOUND, ["b", "aa", "b3"])] == ["b3", "aa1"]
    with pytest.raises(UserError, match=r"No kept set .* ‘zz’\. Known: aa1, ab2, b3, c4"):
        chosen(FOUND, ["zz"])
    with pytest.raises(UserError, match="More than one"):
        chosen(FOUND, ["a"])


def test_what_an_interrupted_pruning_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / f".{'0' * 32}.99999999-0a1b2c3d.tmp"
    left.mkdir()
    views_in(tmp_path).build([0])
    assert len(entries(tmp_path)) == 1
    sweep(tmp_path)
    assert not left.exists() and len(entries(tmp_path)) == 1


def test_a_training_goes_on_when_its_views_are_pruned(tmp_path: Path) -> None:
    views = views_in(tmp_path)
    first = views.embeddings(0)
    views.build([1])
    remove(entries(tmp_path)[0])
    torch.testing.assert_close(views.embeddings(0), first, rtol=0, atol=0)  # still mapped
    views.embeddings(1)
    torch.testing.assert_close(views.embeddings(0), first, rtol=0, atol=0)
