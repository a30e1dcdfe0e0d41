"""A cache of the tests' own, a tiny untrained study that several modules look at, a browser."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dait.config.recipe import Recipe, parse_recipe
from dait.data.base import Dataset
from dait.data.fieldguide import FieldGuide, open_fieldguide
from dait.data.sources.registry import open_dataset
from dait.evaluation.metrics import evaluate_logits
from dait.evaluation.regimes import Measured, RegimeRow
from dait.models.checkpoint import save_network
from dait.models.cost import count_macs, count_parameters
from dait.models.network import Network, build_network
from dait.models.spec import NetworkSpec
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.files import write_atomically
from dait.teachers.registry import load_teacher, prototypes_of

# Sums of several threads differ in their last bits, and processes that tests start have one, too.
# Besides, busy processes with two threads each starve one another; tiny networks gain nothing.
torch.set_num_threads(1)

SEEDS = (0, 1)
ARMS = ("independent", "direct", "dait")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NO_BROWSER = (
    "no Chromium found: install one (apt install chromium, or python -m playwright install "
    "chromium) to run the browser tests"
)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or fills the cache of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("dait-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study folder as ``dait.study`` leaves it: three arms, two seeds, four species, 48 px.

    It has no ``tsne.npz``. Tests that write into it copy it first.
    """
    root = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _build(root)


def _build(root: Path) -> Path:
    teacher_folder = root / "teacher"
    teacher_folder.mkdir()
    _write_openclip(teacher_folder)
    network = {
        "name": "resnet10t",
        "output_stride": 8,
        "options": {"channels": [8, 8, 8, 8], "stem_width": 8},
    }
    raw = {
        "name": "tiny",
        "data": {"size": 48, "species": 4, "test_per_class": 3, "train_per_class": 2},
        "teacher": {"name": f"openclip-local:{teacher_folder}"},
        "student": network,
        "intermediate": network,
    }
    recipe = parse_recipe(raw, "tiny")
    data = open_dataset(**recipe.data.model_dump())
    test = data.split("test")
    images = torch.from_numpy(np.array(test.images)).permute(0, 3, 1, 2).float() / 255
    teacher = load_teacher(recipe.teacher.name)
    prototypes = prototypes_of(teacher, data)
    embeddings = teacher.embed(images)
    zero_shot = evaluate_logits(
        (prototypes.logit_scale * embeddings @ prototypes.vectors.T).numpy(), test.labels
    )
    study = StudyFolder(root / "study")
    figures = {f"zero_shot_{name}": zero_shot[name] for name in ("top1", "top5")}
    told = {"name": teacher.name, "reads_text": True, **figures}
    study.create({**_description(recipe, data), "teacher": told})
    arrays = {
        "prototypes": prototypes.vectors.numpy(),
        "logit_scale": np.float32(prototypes.logit_scale),
        "embeddings": embeddings.numpy().astype(np.float16),
    }
    write_atomically(study.path / "teacher.npz", _npz(arrays))
    keys = [info.key for info in data.classes]
    for seed in SEEDS:
        for arm in ARMS:
            _write_run(study.run(arm, seed), recipe, arm, seed, keys, images, test.labels, test.ids)
    study.write_status(state="finished", progress=1.0)
    return study.path


def _description(recipe: Recipe, data: Dataset) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(),
        "arms": ARMS,
        "seeds": SEEDS,
        "runs": [
            {"arm": arm, "seed": seed, "dir": f"{arm}-s{seed}"} for seed in SEEDS for arm in ARMS
        ],
        "classes": [
            {"key": info.key, "name": info.name, "group": info.group} for info in data.classes
        ],
    }


def _write_run(
    folder: RunFolder,
    recipe: Recipe,
    arm: str,
    seed: int,
    keys: list[str],
    images: Tensor,
    labels: np.ndarray,
    ids: Sequence[str],
) -> None:
    folder.create({**recipe.model_dump(), "arm": arm, "seed": seed})
    student = _network(recipe.student, len(keys), images)
    save_network(folder.student, student, keys, arm=arm)
    arrays, figures = _measured(student, images, labels, folder.student)
    intermediate = None
    if arm == "dait":
        network = _network(recipe.intermediate, len(keys), images)
        save_network(folder.intermediate, network, keys, arm="intermediate")
        taught, intermediate = _measured(network, images, labels, folder.intermediate)
        arrays |= {f"intermediate_{name}": array for name, array in taught.items()}
    arrays |= {"labels": np.asarray(labels), "ids": np.asarray(ids)}
    write_atomically(folder.predictions, _npz(arrays))
    folder.write_result({"arm": arm, "seed": seed, **figures, "intermediate": intermediate})
    folder.write_status(state="finished", arm=arm, seed=seed, progress=1.0)


@torch.no_grad()
def _network(spec: NetworkSpec, classes: int, images: Tensor) -> Network:
    network = build_network(spec, classes, images.shape[-1]).eval()
    # A new network says the same of every image. This one's head sees the features centred and
    # spread out, so that its answers differ from image to image. What is then added to all classes
    # alike changes no probability, and leaves no Grad-CAM map empty.
    pooled = network(images).pooled
    mean = pooled.mean(dim=0)
    weight = torch.randn(classes, len(mean)) / pooled.std(dim=0).clamp_min(1e-6)
    weight += 2 * (weight @ mean).abs().max() / mean.sum()
    head = network.model.get_classifier()
    head.weight.copy_(weight)
    head.bias.copy_(-weight @ mean)
    return network


def _measured(
    network: Network, images: Tensor, labels: np.ndarray, file: Path
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with torch.no_grad():
        output = network(images)
    arrays = {
        "logits": output.logits.numpy().astype(np.float16),
        "pooled": output.pooled.numpy().astype(np.float16),
    }
    figures = evaluate_logits(output.logits.numpy(), labels)
    costs = {
        "network": network.spec.name,
        "parameters": count_parameters(network),
        "macs": count_macs(network),
        "latency_ms": 1.5,
        "file_bytes": file.stat().st_size,
        "map": [network.map_channels, *network.map_size],
    }
    return arrays, figures | costs


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _write_openclip(folder: Path) -> None:
    """A random OpenCLIP model of two small towers, in the hub's layout."""
    import open_clip
    from safetensors.torch import save_file

    architecture = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 8,
            "layers": 2,
            "width": 32,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    model = open_clip.CLIP(**architecture)
    config = {
        "model_cfg": architecture,
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")


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


@pytest.fixture
def map_of_regimes(tmp_path: Path) -> Path:
    """The rows of a made-up map: two regimes, in which dait is best under the better teacher."""
    known = {"weak": (0.2, 0.3, 0.55), "strong": (0.9, 0.95, 0.7)}
    rows = [
        RegimeRow(
            condition="labelled",
            teacher=teacher,
            student="small",
            measured=Measured(
                classes=6,
                labelled=4,
                unlabelled=0,
                zero_shot=zero_shot,
                probe=probe,
                start_probe=0.4,
            ),
            arm=arm,
            seed=0,
            top1=top1,
        )
        for teacher, (zero_shot, probe, of_dait) in known.items()
        for arm, top1 in (("independent", 0.6), ("direct", 0.58), ("dait", of_dait))
    ]
    file = tmp_path / "map" / "regimes.jsonl"
    file.parent.mkdir()
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows))
    return file


@pytest.fixture
def copied(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy of ``tiny_study``."""
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DAIT_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium: the system's, or the one that Playwright installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        executable = system or playwright.chromium.executable_path
        if not Path(executable).exists():
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(NO_BROWSER)
            pytest.skip(NO_BROWSER)
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()
