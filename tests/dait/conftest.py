"""The tiny parts that several test modules train with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dait.data.fieldguide import FieldGuide, open_fieldguide
from dait.recipe import Recipe, parse_recipe


@pytest.fixture(scope="session")
def birds() -> FieldGuide:
    """Six species at 32 px: 24 training, 12 validation and 18 test images."""
    return open_fieldguide(size=32, species=6, train_per_class=4, val_per_class=2, test_per_class=3)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random OpenCLIP model in the hub's layout, small enough to embed a split in no time."""
    import open_clip
    from safetensors.torch import save_file

    architecture = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "layers": 1, "width": 16},
        "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 8, "heads": 1},
    }
    architecture["vision_cfg"]["head_width"] = 8
    architecture["text_cfg"]["layers"] = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(**architecture)
    folder = tmp_path_factory.mktemp("clip")
    config = {
        "model_cfg": architecture,
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(dict(model.state_dict()), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def small_recipe(clip_folder: Path) -> Recipe:
    """All three arms in about a second: six species at 32 px, two epochs of three steps."""
    network = {
        "name": "resnet10t",
        "output_stride": 8,
        "options": {"channels": [8, 8, 8, 8], "stem_width": 8},
    }
    raw = {
        "name": "small",
        "data": {
            "size": 32,
            "species": 6,
            "train_per_class": 4,
            "val_per_class": 2,
            "test_per_class": 3,
        },
        "teacher": {"name": f"openclip-local:{clip_folder}"},
        "student": network,
        "intermediate": network,
        "train": {"epochs": 2, "batch_size": 8, "warmup_epochs": 0.5},
    }
    return parse_recipe(raw, "small")
