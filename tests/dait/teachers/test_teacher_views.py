from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dait.config.arms import DaitConfig
from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.fieldguide import FieldGuide
from dait.errors import UserError
from dait.events import EpochDone, Event, Note, Progress, StepDone, ignore
from dait.models.network import NetworkSpec, build_network
from dait.tasks.adapt import AdaptTask
from dait.teachers.cache.views import TeacherViews
from dait.training.inference import predict_split
from dait.training.loop import StagePosition, train_stage


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
    return TeacherViews(teacher, data, ViewPolicy(kind, seed), ignore, batch)  # type: ignore[arg-type]


def test_embeddings_are_those_of_the_views_in_the_splits_order(birds: FieldGuide) -> None:
    teacher = Counting()
    found = views_of(teacher, birds, batch=7).embeddings(3)
    images = birds.split("train").images
    pixels = view_batch(images, range(len(images)), 3, ViewPolicy("full"))
    assert found.dtype == torch.float32 and found.shape == (24, 12)
    torch.testing.assert_close(found, teacher.embed(pixels), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(24), rtol=0, atol=2e-3)


def test_a_batch_gets_the_rows_of_its_images(birds: FieldGuide) -> None:
    views, index = views_of(Counting(), birds), np.array([20, 3, 3, 11])
    whole = views.embeddings(1)
    torch.testing.assert_close(views.rows(1, index, torch.empty(0)), whole[index], rtol=0, atol=0)


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


def test_what_is_kept_is_half_precision_beside_a_manifest(
    birds: FieldGuide, own_cache: Path
) -> None:
    views_of(Counting(), birds).embeddings(0)
    (file,) = own_cache.glob("views/*/view-00000-*.npy")
    assert np.load(file).dtype == np.float16
    facts = json.loads((file.parent / "manifest.json").read_text())
    assert (facts["data"], facts["teacher"], facts["dtype"]) == (
        "fieldguide",
        "counting",
        "float16",
    )
    assert (facts["images"], facts["dim"], facts["transform"]) == (24, 12, "full")


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
    other_type = Counting()
    TeacherViews(other_type, birds, ViewPolicy("full"), dtype="float32").embeddings(0)
    assert other_type.shown == 24
    hit = Counting()
    views_of(hit, birds).embeddings(0)
    assert hit.shown == 0


@pytest.mark.parametrize("library", ["torch", "numpy", "pillow", "timm", "open_clip_torch"])
def test_another_version_of_a_library_misses(
    birds: FieldGuide, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    from importlib.metadata import version

    from dait.teachers.cache import view_set

    views_of(Counting(), birds).embeddings(0)
    newer = Counting()
    with monkeypatch.context() as patch:
        patch.setattr(
            view_set, "version", lambda name: "99.0" if name == library else version(name)
        )
        views_of(newer, birds).embeddings(0)
    assert newer.shown == 24


def test_another_version_of_the_augmentation_misses(
    birds: FieldGuide, monkeypatch: pytest.MonkeyPatch
) -> None:
    views_of(Counting(), birds).embeddings(0)
    monkeypatch.setattr("dait.data.augmentation.views.AUGMENT_VERSION", 10**6)
    newer = Counting()
    views_of(newer, birds).embeddings(0)
    assert newer.shown == 24


def test_progress_is_told(birds: FieldGuide) -> None:
    events: list[Event] = []
    TeacherViews(Counting(), birds, ViewPolicy("full"), events.append, 10).embeddings(0)
    told = [event for event in events if isinstance(event, Progress) and "teacher" in event.what]
    assert [(event.done, event.total) for event in told] == [(10, 24), (20, 24), (24, 24)]


def test_the_size_is_told_before_anything_is_built(birds: FieldGuide) -> None:
    events: list[Event] = []
    teacher = Counting()
    views = TeacherViews(teacher, birds, ViewPolicy("full"), events.append)
    views.announce(8)
    views.embeddings(0)
    views.announce(8)
    first, second = [event.text for event in events if isinstance(event, Note)]
    assert "8 views × 24 images × 12 × 2 bytes = 4.6 kB (" in first
    assert "= 4.6 kB, of which 576 bytes are there already" in second
    assert teacher.shown == 24


def test_no_room_is_a_sentence_before_anything_is_built(
    birds: FieldGuide, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(own_cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    teacher = Counting()
    views = views_of(teacher, birds)
    views.announce(1)
    for attempt in (lambda: views.announce(2), lambda: views.build(range(2))):
        with pytest.raises(UserError, match=r"no room for .*cache prune.*views\.distinct"):
            attempt()
    assert teacher.shown == 0


def test_embeddings_that_are_not_finite_are_refused(birds: FieldGuide, own_cache: Path) -> None:
    class Broken(Counting):
        def embed(self, images: Tensor) -> Tensor:
            return super().embed(images) * float("nan")

    with pytest.raises(UserError, match="counting gives embeddings that are not finite"):
        views_of(Broken(), birds).embeddings(0)
    assert not list(own_cache.glob("views/*/view-*"))


def test_live_keeps_nothing_and_looks_at_the_batch_itself(
    birds: FieldGuide, own_cache: Path
) -> None:
    teacher, events = Counting(), list[Event]()
    live = TeacherViews(teacher, birds, ViewPolicy("full"), events.append, live=True)
    live.announce(3)
    images = torch.rand(5, 3, 32, 32)
    found = live.rows(0, np.arange(5), images)
    torch.testing.assert_close(found, teacher.embed_with_gradient(images), rtol=0, atol=0)
    torch.testing.assert_close(
        live.embeddings(2), views_of(Counting(), birds).embeddings(2), rtol=0, atol=1e-3
    )
    assert teacher.shown == 5 + 24
    assert isinstance(events[0], Note) and "nothing is kept" in events[0].text


def losses(data: FieldGuide, views: TeacherViews, distinct: int, epochs: int = 3) -> list[float]:
    """Of every step of DAIT's first stage, and at last the validation logits' sum."""
    torch.manual_seed(0)
    options = {"channels": [8, 8, 8, 8], "stem_width": 8}
    spec = NetworkSpec(name="resnet10t", output_stride=16, options=options)
    network = build_network(spec, 6, 32)
    prototypes = F.normalize(torch.randn(6, 12), dim=1)
    task, events = AdaptTask(network, "full", prototypes, 20.0, DaitConfig()), list[Event]()
    config = TrainConfig(epochs=epochs, batch_size=8, learning_rate=5e-3, warmup_epochs=1)
    stage = StagePosition(0, 1, epochs, seed=0, distinct_views=distinct)
    train_stage(task, data, config, stage, views, events.append)
    assert sum(isinstance(event, EpochDone) for event in events) == epochs
    found = [event.loss for event in events if isinstance(event, StepDone)]
    return [*found, float(predict_split(network, data.split("val")).logits.abs().mean())]


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float32", 1e-5), ("float16", 2e-3)],  # fp16 rounds a number by up to 2⁻¹¹ = 5e-4 of itself
)
@pytest.mark.parametrize("distinct", [0, 3])
def test_as_many_views_as_epochs_give_the_losses_of_a_live_teacher(
    birds: FieldGuide, dtype: str, tolerance: float, distinct: int
) -> None:
    policy = ViewPolicy("full")
    live = losses(birds, TeacherViews(Counting(), birds, policy, live=True), distinct)
    kept = losses(birds, TeacherViews(Counting(), birds, policy, dtype=dtype), distinct)
    assert kept == pytest.approx(live, rel=tolerance)
    if dtype == "float16" and distinct:
        fewer = losses(birds, TeacherViews(Counting(), birds, policy), 1)
        assert fewer != pytest.approx(live, rel=tolerance)  # so the comparison can tell
