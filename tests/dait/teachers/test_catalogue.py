"""The list of teachers: complete, searchable, true about what is here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from dait.errors import UserError
from dait.teachers.catalogue import PAPER, list_teachers
from dait.teachers.weights import parameters_of

PutInCache = Callable[[str, dict[str, bytes]], Path]


def test_every_pretrained_tag_of_openclip_is_listed(hub_cache: Path) -> None:
    import open_clip

    listed = {(entry.model, entry.tag) for entry in list_teachers(kinds=("openclip",)) if entry.tag}
    assert listed == set(open_clip.list_pretrained())


def test_the_papers_teacher(hub_cache: Path) -> None:
    (entry,) = list_teachers("CONVNEXT soup xxlarge", ("openclip",))
    assert entry.name == PAPER and entry.reads_text and not entry.here
    assert (entry.parameters, entry.image_size) == (1_200_576_385, 256)
    assert entry.download_bytes == 4 * 1_200_576_385


@pytest.mark.parametrize(
    "model",
    ["RN50", "ViT-B-32", "ViT-B-16-SigLIP", "EVA02-B-16", "MobileCLIP2-S0", "coca_ViT-B-32"],
)
def test_the_parameters_are_those_of_the_library(model: str) -> None:
    import open_clip

    with torch.device("meta"):
        built = open_clip.create_model(
            model, load_weights=False, pretrained_text=False, device="meta"
        )
    assert parameters_of(model) == sum(tensor.numel() for tensor in built.parameters())


def test_every_architecture_has_its_parameters_but_for_towers_of_transformers() -> None:
    import open_clip

    for model in {model for model, _ in open_clip.list_pretrained()}:
        foreign = "hf_model_name" in open_clip.get_model_config(model)["text_cfg"]
        assert (parameters_of(model) is None) == foreign, model


def test_what_is_in_the_cache_is_here(put_in_cache: PutInCache) -> None:
    import timm

    assert not any(e.name.startswith("openclip") for e in list_teachers("", here_only=True))
    put_in_cache("timm/vit_base_patch32_clip_224.openai", {"open_clip_model.safetensors": b"x"})
    put_in_cache(timm.get_pretrained_cfg("test_vit").hf_hub_id, {"model.safetensors": b"x"})
    here = [entry.name for entry in list_teachers(here_only=True)]
    assert "openclip:ViT-B-32/openai" in here and "openclip:ViT-B-32-quickgelu/openai" in here
    assert "fieldguide-clip" in here and "timm:test_vit.r160_in1k" in here
    assert not any("laion" in name for name in here)


def test_vision_only_teachers_are_found(hub_cache: Path) -> None:
    found = {entry.name: entry for entry in list_teachers("dinov2 small", ("timm",))}
    entry = found["timm:vit_small_patch14_dinov2.lvd142m"]
    assert (entry.image_size, entry.reads_text, entry.kind) == (518, False, "timm")
    assert list_teachers("no such teacher") == []


def test_an_unknown_kind() -> None:
    with pytest.raises(UserError, match="no kind of teacher ‘clip’: own, openclip, timm"):
        list_teachers(kinds=cast(Any, ("clip",)))
