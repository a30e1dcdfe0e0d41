from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dait.data.augment import ViewPolicy, view_batch
from dait.data.fieldguide import FieldGuide
from dait.errors import UserError
from dait.events import Event, Progress, ignore
from dait.teachers.views import TeacherViews


@dataclass
class Counting:
    """A frozen teacher that counts the images it is shown."""

    name: str = "counting"
    weights_hash: str = "a"
    image_size: int = 32
    dim: int = 12
    logit_scale: float = 1.0
    reads_text: bool = False
    shown: int = 0

    def embed(self, images: Tensor) -> Tensor:
        self.shown += len(images)
        return self.embed_with_gradient(images)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        return F.normalize(F.adaptive_avg_pool2d(images, 2).flatten(1), dim=1)

    def embed_text(self, sentences: list[str]) -> Tensor:
        raise UserError("no text")

    def heatmap_layer(self) -> nn.Module:
        return nn.Identity()

    def heatmap_grid(self) -> None:
        return None


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path))
    return tmp_path


def views_of(
    teacher: Counting, data: FieldGuide, kind: str = "full", seed: int = 0, batch: int = 128
) -> TeacherViews:
    return TeacherViews(teacher, data, ViewPolicy(kind), seed, ignore, batch)  # type: ignore[arg-type]


def test_embeddings_are_those_of_the_views_in_the_splits_order(birds: FieldGuide) -> None:
    teacher = Counting()
    found = views_of(teacher, birds, batch=7).embeddings(3)
    images = birds.split("train").images
    pixels = view_batch(images, range(len(images)), 3, ViewPolicy("full"), 0)
    assert found.dtype == torch.float32 and found.shape == (24, 12)
    torch.testing.assert_close(found, teacher.embed(pixels), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(24), rtol=0, atol=2e-3)


def test_a_view_is_embedded_once_and_kept_on_disk(birds: FieldGuide) -> None:
    teacher = Counting()
    views = views_of(teacher, birds)
    first = views.embeddings(0)
    assert teacher.shown == 24
    views.embeddings(1)
    assert teacher.shown == 48
    torch.testing.assert_close(views.embeddings(0), first, rtol=0, atol=0)
    later = Counting()  # another run, another process: the same files
    torch.testing.assert_close(views_of(later, birds).embeddings(0), first, rtol=0, atol=0)
    assert later.shown == 0 and teacher.shown == 48


def test_what_is_kept_is_half_precision(birds: FieldGuide, own_cache: Path) -> None:
    views_of(Counting(), birds).embeddings(0)
    (file,) = own_cache.glob("views/*/view-00000-*.npy")
    assert np.load(file).dtype == np.float16


def test_any_change_misses(birds: FieldGuide, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Counting()
    views_of(base, birds).embeddings(0)
    changed_data = FieldGuide(replace(birds.options, seed=1))
    for teacher, data, kind, seed, view in (
        (Counting(weights_hash="b"), birds, "full", 0, 0),
        (Counting(name="other"), birds, "full", 0, 0),
        (Counting(image_size=64), birds, "full", 0, 0),
        (Counting(), changed_data, "full", 0, 0),
        (Counting(), birds, "light", 0, 0),
        (Counting(), birds, "full", 1, 0),
        (Counting(), birds, "full", 0, 1),
    ):
        views_of(teacher, data, kind, seed).embeddings(view)
        assert teacher.shown == 24, (teacher, kind, seed, view)
    monkeypatch.setattr("dait.data.augment.AUGMENT_VERSION", 10**6)
    newer = Counting()
    views_of(newer, birds).embeddings(0)
    assert newer.shown == 24


def test_progress_is_told(birds: FieldGuide) -> None:
    events: list[Event] = []
    TeacherViews(Counting(), birds, ViewPolicy("full"), 0, events.append, 10).embeddings(0)
    told = [event for event in events if isinstance(event, Progress) and "teacher" in event.what]
    assert [(event.done, event.total) for event in told] == [(10, 24), (20, 24), (24, 24)]
