"""What an OpenCLIP model gives as a teacher."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dait.data.base import ClassInfo
from dait.teachers.base import text_prototypes
from dait.teachers.openclip.load import load_openclip_folder
from dait.teachers.openclip.teacher import OpenClipTeacher, resized
from dait.teachers.registry import load_teacher


@pytest.fixture
def folder(clip_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(clip_folder, tmp_path / "clip"))


@pytest.fixture(scope="module")
def teacher(clip_folder: Path) -> OpenClipTeacher:
    loaded = load_teacher(f"openclip-local:{clip_folder}")
    assert isinstance(loaded, OpenClipTeacher)
    return loaded


def test_a_folder_in_the_hubs_layout_loads(teacher: OpenClipTeacher, clip_folder: Path) -> None:
    assert (teacher.image_size, teacher.dim, teacher.reads_text) == (32, 12, True)
    assert teacher.name == f"openclip-local:{clip_folder}"
    assert teacher.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)  # CLIP's start
    assert not any(p.requires_grad for p in teacher.parameters()) and not teacher.model.training
    weights = load_file(clip_folder / "open_clip_model.safetensors")
    for key, value in teacher.model.state_dict().items():
        assert torch.equal(value, weights[key])


def test_embeddings_are_unit_vectors_of_any_image_size(teacher: OpenClipTeacher) -> None:
    images = torch.rand(3, 3, 50, 50, generator=torch.Generator().manual_seed(0))
    found = teacher.embed(images)
    assert found.shape == (3, 12) and not found.requires_grad
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert (found[0] - found[1]).norm() > 1e-3
    torch.testing.assert_close(teacher.embed(images[1:2]), found[1:2])


def test_many_images_are_embedded_in_bounded_chunks(
    teacher: OpenClipTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dait.teachers.openclip.teacher.CHUNK", 4)
    sizes: list[int] = []
    handle = teacher.model.visual.register_forward_hook(
        lambda module, args, out: sizes.append(len(args[0]))
    )
    try:
        found = teacher.embed(torch.rand(10, 3, 32, 32))
    finally:
        handle.remove()
    assert sizes == [4, 4, 2] and len(found) == 10


def test_pixels_are_normalised_as_the_model_was_trained(folder: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"] = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    teacher = load_openclip_folder(folder)
    images = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    pixels = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(teacher.model.encode_image(pixels), dim=-1)
    torch.testing.assert_close(teacher.embed(images), expected)


def test_text_prototypes_are_normalised_means_of_unit_vectors(teacher: OpenClipTeacher) -> None:
    classes = (
        ClassInfo("a", "red bird", None, ("a red bird", "one bird with a long tail")),
        ClassInfo("b", "duck"),
    )
    found = text_prototypes(teacher, classes)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    sentences = teacher.embed_text(["a red bird", "one bird with a long tail"])
    torch.testing.assert_close(sentences.norm(dim=1), torch.ones(2))
    mean = sentences.mean(dim=0)
    torch.testing.assert_close(found[0], mean / mean.norm())
    # A class without a description is told by its name.
    torch.testing.assert_close(found[1], teacher.embed_text(["a photo of a duck."])[0])
    assert not found.requires_grad


def test_gradients_reach_the_heatmap_layer(teacher: OpenClipTeacher) -> None:
    tokens: list[torch.Tensor] = []
    handle = teacher.heatmap_layer().register_forward_hook(lambda m, a, out: tokens.append(out))
    try:
        images = torch.rand(1, 3, 32, 32, requires_grad=True)
        score = teacher.embed_with_gradient(images)[0, 0]
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(score, tokens[0])
    assert gradient.abs().sum() > 0
    grid = teacher.heatmap_grid()
    assert grid == (2, 2, 1) and 2 * 2 + 1 in tokens[0].shape


def test_sentences_are_read_in_bounded_chunks(
    teacher: OpenClipTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = [f"a bird called {number}" for number in range(7)]
    whole = teacher.embed_text(sentences)
    monkeypatch.setattr("dait.teachers.openclip.teacher.CHUNK", 3)
    torch.testing.assert_close(teacher.embed_text(sentences), whole)


def test_images_are_resized_as_the_model_was_trained(folder: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    found = []
    for how in ("bicubic", "bilinear"):
        config["preprocess_cfg"]["interpolation"] = how
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        teacher = load_openclip_folder(folder)
        assert teacher.interpolation == how
        found.append((teacher.embed(torch.eye(48).expand(1, 3, 48, 48)), teacher.weights_hash))
    assert (found[0][0] - found[1][0]).norm() > 1e-5 and found[0][1] != found[1][1]


@pytest.mark.parametrize("how", ["bicubic", "bilinear"])
def test_resizing_stays_in_range_and_agrees_with_pillow(how: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    mode = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[how]
    expected = np.asarray(Image.fromarray(image).resize((32, 32), mode))
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    found = resized(pixels, 32, how)
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    difference = found[0].permute(1, 2, 0).numpy() * 255 - expected
    assert abs(difference).mean() < 0.7  # Pillow rounds between its two passes
