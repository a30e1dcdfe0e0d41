"""Shards that are whole or not there, whoever writes, and whatever ends them."""

from __future__ import annotations

import errno
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F
from apart import Apart, start
from torch import Tensor

from benchmarks.stand_ins import Noise
from dait.data.augmentation.views import ViewPolicy
from dait.distributed import World
from dait.errors import UserError
from dait.events import Event, ignore
from dait.teachers.cache.view_set import ViewSet
from dait.teachers.cache.views import TeacherViews

COUNT, BATCH = 700, 64  # three shards a view, the last one short, and its last batch too


class Coarse:
    """A frozen teacher that is the image, coarsely; it counts and may be hindered."""

    name, weights_hash, image_size, dim = "coarse", "a", 16, 12
    logit_scale, reads_text = 1.0, False

    def __init__(self, hinder: Callable[[int], object] = lambda shown: None) -> None:
        self.shown, self._hinder = 0, hinder

    def embed(self, images: Tensor) -> Tensor:
        self._hinder(self.shown)
        self.shown += len(images)
        return F.normalize(F.adaptive_avg_pool2d(images, 2).flatten(1), dim=1)


def views_in(root: Path, teacher: Coarse | None = None, emit: Callable[[Event], None] = ignore):  # type: ignore[no-untyped-def]
    data = Noise(COUNT, 1, 16)
    policy = ViewPolicy("light")
    return TeacherViews(teacher or Coarse(), data, policy, emit, BATCH, root=root)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two views' shards by name, built in one go."""
    views = views_in(tmp_path_factory.mktemp("reference"))
    views.build(range(2))
    return shards(views.kept())


def shards(kept: ViewSet) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(kept.folder.glob("view-*.npy"))}


def test_a_view_is_whole_batches_a_shard(reference: dict[str, bytes]) -> None:
    starts = ["00000000", "00000256", "00000512"]
    assert list(reference) == [f"view-0000{v}-from-{s}.npy" for v in (0, 1) for s in starts]


def test_a_data_set_of_any_size_has_few_shards(tmp_path: Path) -> None:
    from dataclasses import replace

    facts = views_in(tmp_path).kept().description
    for images in (1, 255, 256, 257, 16_384, 16_385, 1_281_167):
        kept = ViewSet(tmp_path, replace(facts, images=images))
        found = kept.shards(4)
        assert len(found) <= 64 and kept.shard_rows % BATCH == 0
        assert found[0].start == 0 and found[-1].stop == images
        assert all(a.stop == b.start for a, b in itertools.pairwise(found))


def test_a_stopped_build_goes_on(tmp_path: Path, reference: dict[str, bytes]) -> None:
    class StopError(Exception):
        pass

    def hinder(shown: int) -> None:
        if shown >= 300:
            raise StopError

    with pytest.raises(StopError):
        views_in(tmp_path, Coarse(hinder)).build(range(2))
    first = views_in(tmp_path).kept()
    assert list(shards(first)) == ["view-00000-from-00000000.npy"]
    again = Coarse()
    views_in(tmp_path, again).build(range(2))
    assert again.shown == 2 * COUNT - 256 and shards(first) == reference
    assert [f.name for f in first.folder.iterdir() if f.name.startswith(".")] == []


@pytest.mark.parametrize("harm", ["cut", "longer", "other", "empty"])
def test_a_damaged_shard_is_computed_again(
    tmp_path: Path, reference: dict[str, bytes], harm: str
) -> None:
    views = views_in(tmp_path)
    views.build(range(2))
    file = views.kept().folder / "view-00001-from-00000256.npy"
    content = file.read_bytes()
    file.write_bytes(
        {
            "cut": content[:-1],
            "longer": content + b"x",
            "other": b"x" * len(content),
            "empty": b"",
        }[harm]
    )
    again = Coarse()
    views_in(tmp_path, again).embeddings(1)
    assert again.shown == 256 and shards(views.kept()) == reference


def build(folder: Path, name: str, hold: int) -> None:
    """Build both views; stay in the batch before which ``hold`` images were seen."""
    with (folder / name).open("a", buffering=1) as log:

        def hinder(shown: int) -> None:
            log.write(f"{shown}\n")
            time.sleep(600 if shown == hold else 0.01)

        views_in(folder, Coarse(hinder)).build(range(2))


def child(folder: Path, name: str, hold: int = -1) -> Apart:
    """``build`` in a process."""
    return start(folder, build, folder, name, hold, name=f"{name}-says")


def seen_by(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_build_keeps_its_shards_and_another_process_takes_over(
    tmp_path: Path, reference: dict[str, bytes]
) -> None:
    first = child(tmp_path, "first", hold=320)  # in the middle of the second shard
    wait_until(lambda: 320 in seen_by(tmp_path / "first"))
    waiting = child(tmp_path, "second")  # leaves that shard for last, and finds its owner dead
    wait_until(lambda: bool(seen_by(tmp_path / "second")))
    first.process.kill()
    first.process.join()
    assert waiting.ended(120) == 0, waiting.said
    kept = views_in(tmp_path).kept()
    assert shards(kept) == reference
    assert len(seen_by(tmp_path / "second")) == 2 * 11 - 4  # batches: all but the first shard's
    assert sorted(f.name for f in kept.folder.iterdir()) == sorted([*reference, "manifest.json"])


@pytest.mark.slow
def test_two_processes_at_once_do_nothing_twice(
    tmp_path: Path, reference: dict[str, bytes]
) -> None:
    processes = [child(tmp_path, name) for name in ("first", "second")]
    assert [process.ended(120) for process in processes] == [0, 0]
    batches = len(seen_by(tmp_path / "first")) + len(seen_by(tmp_path / "second"))
    assert shards(views_in(tmp_path).kept()) == reference and batches == 2 * 11


def test_disks_that_cannot_lock_are_written_all_the_same(
    tmp_path: Path, reference: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    threads = [threading.Thread(target=views_in(tmp_path).build, args=([0, 1],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = shards(views_in(tmp_path).kept())
    assert found == reference


def test_a_disk_that_fills_up_keeps_the_whole_shards(
    tmp_path: Path, reference: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = list[int](), os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:  # the manifest and two shards
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"no room .*DAIT_CACHE.*cache prune"):
            views_in(tmp_path).build(range(2))
    assert list(shards(views_in(tmp_path).kept())) == list(reference)[:2]
    again = Coarse()
    views_in(tmp_path, again).build(range(2))
    assert again.shown == 2 * COUNT - 512


def test_shares_are_all_of_it_and_nothing_twice(
    tmp_path: Path, reference: dict[str, bytes]
) -> None:
    """Three shares, one after the other: the first two say what is not there."""
    teachers = [Coarse(), Coarse(), Coarse()]
    for index, teacher in enumerate(teachers[:2]):
        with pytest.raises(UserError, match=r"of 6 parts .* does not see what the others wrote"):
            views_in(tmp_path, teacher).build(range(2), World(index, 3))
    views_in(tmp_path, teachers[2]).build(range(2), World(2, 3))
    assert [teacher.shown for teacher in teachers] == [256 + 188, 512, 188 + 256]
    assert shards(views_in(tmp_path).kept()) == reference


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    kept = views_in(tmp_path).kept()
    with pytest.raises(ValueError, match="holds"):
        kept.write(kept.shards(0)[0], np.zeros((3, 12)))


def test_a_cache_that_keeps_nothing_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ViewSet, "read", lambda self, shard: None)
    with pytest.raises(UserError, match="does not keep what is written"):
        views_in(tmp_path).embeddings(0)
