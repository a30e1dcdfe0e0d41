"""OpenCLIP models: by name and tag, and from a folder in the hub's layout."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.teachers.base import text_prototypes
from dait.teachers.openclip import OpenClipTeacher, load_openclip, load_openclip_folder
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
    monkeypatch.setattr("dait.teachers.openclip.CHUNK", 4)
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


def test_the_hash_is_that_of_the_weights(clip_folder: Path, folder: Path) -> None:
    first = load_openclip_folder(clip_folder).weights_hash
    assert load_openclip_folder(folder).weights_hash == first
    file = folder / "open_clip_model.safetensors"
    weights = load_file(file)
    weights["logit_scale"] = weights["logit_scale"] + 1
    save_file(weights, file)
    assert load_openclip_folder(folder).weights_hash != first


class Trap:
    """Unpickling it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def test_pickles_are_not_read(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "read"
    safe = folder / "open_clip_model.safetensors"
    # Of these two names OpenCLIP itself would prefer the pickle.
    safe.rename(folder / "model.safetensors")
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(Trap(mark)))
    teacher = load_openclip_folder(folder)
    weights = load_file(folder / "model.safetensors")
    assert all(torch.equal(v, weights[k]) for k, v in teacher.model.state_dict().items())
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"one \.safetensors file; it holds.*open_clip_pytorch"):
        load_openclip_folder(folder)
    assert not mark.exists()


@pytest.mark.parametrize("harm", ["cut", "foreign", "text", "other model", "no weights"])
def test_damaged_weights_are_a_sentence(folder: Path, harm: str) -> None:
    file = folder / "open_clip_model.safetensors"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif harm == "foreign":
        save_file({"x": torch.zeros(2)}, file)
    elif harm == "text":
        file.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif harm == "other model":
        weights = load_file(file)
        weights["visual.proj"] = torch.zeros(16, 5)
        save_file(weights, file)
    else:
        save_file({}, file)
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_openclip_folder(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"model_cfg": {"embed_dim": 3}}',
        '{"model_cfg": {"embed_dim": 3, "odd": 1, "vision_cfg": {}, "text_cfg": {}}}',
    ],
)
def test_a_damaged_config_is_a_sentence(folder: Path, text: str) -> None:
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_openclip_folder(folder)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it holds nothing"):
        load_teacher(f"openclip-local:{tmp_path / 'none'}")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"it holds notes\.txt"):
        load_teacher(f"openclip-local:{tmp_path}")


def test_unknown_models_and_tags_have_near_matches() -> None:
    with pytest.raises(UserError, match=r"no model called 'ViT-B-23'\. Did you mean ViT-B-32"):
        load_teacher("openclip:ViT-B-23/openai")
    with pytest.raises(UserError, match=r"ViT-B-32 has no pretrained tag 'laion9'.*laion2b_s34b"):
        load_openclip("ViT-B-32", "laion9")


def test_weights_that_are_not_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_teacher("openclip:RN50/yfcc15m")
    sentence = str(caught.value)
    assert "The weights yfcc15m of OpenCLIP's RN50 could not be loaded" in sentence
    assert "fieldguide-clip" in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    "name", ["", "clip", "openclip:ViT-B-32", "openclip:", "openclip-local:", "timm:", "../x"]
)
def test_other_names_list_the_forms(name: str) -> None:
    with pytest.raises(UserError, match="Known forms: fieldguide-clip, openclip:MODEL/TAG"):
        load_teacher(name)
