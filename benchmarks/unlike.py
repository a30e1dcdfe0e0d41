"""How well a score tells strange images from test images: the one in use, and what was tried."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from benchmarks.output import add_json_option, print_end, print_figure
from dait.data.images.decode import decode_image
from dait.errors import UserError
from dait.evaluation.evaluate import predictions_of
from dait.evaluation.features.familiarity import FAMILIAR, Familiarity, fit_familiarity
from dait.evaluation.features.similarity import unit_length
from dait.models.checkpoint import load_network
from dait.models.network import Network
from dait.runs.folder import RunFolder
from dait.storage.paths import ASSETS

RUNS = tuple(f"runs/demo/{arm}-s0" for arm in ("independent", "direct", "dait"))
DRAWN, PHOTOS = 100, 300
"""Images of each kind, at most."""

Features = tuple[np.ndarray, np.ndarray]
"""Logits ``(N, C)`` and pooled features ``(N, d)``."""


def measure_unlike(run: RunFolder, photos: Path | None = None) -> dict[str, Any]:
    """For every score and kind of strange image the area under the ROC curve against test images.

    ``..._called`` is the share of them that is called unlike, where ``FAMILIAR`` of the validation
    images are familiar, and ``wrongly`` that of test images. photos: a folder of photographs.
    Raises ``UserError`` for a run without weights, and where its images are not on this machine.
    """
    network = load_network(run.student).network.eval()
    with tempfile.TemporaryDirectory() as folder:  # predictions are kept beside the run
        study = Path(shutil.copytree(run.path.parent, Path(folder) / "study"))
        copy = RunFolder(study / run.path.name)
        splits = {name: predictions_of(copy, name) for name in ("train", "val", "test")}
    train, val, test = ((s.logits["student"], s.pooled["student"]) for s in splits.values())
    strange = {
        kind: _features(network, images)
        for kind, images in _strange(network.image_size, photos).items()
    }
    figures: dict[str, Any] = {}
    for name, score in _scores(train, splits["train"].labels, val).items():
        familiar, limit = score(*test), np.quantile(score(*val), FAMILIAR)
        row = {"wrongly": float((familiar > limit).mean())}
        for kind, features in strange.items():
            found = score(*features)
            truth = np.repeat([0, 1], [len(familiar), len(found)])
            row[kind] = float(roc_auc_score(truth, np.concatenate([familiar, found])))
            row[f"{kind}_called"] = float((found > limit).mean())
        figures[name] = row
    return figures


def _scores(train: Features, labels: np.ndarray, val: Features) -> Mapping[str, Any]:
    """Functions of logits and features; larger is stranger."""
    pooled = train[1]
    means = unit_length(np.stack([pooled[labels == c].mean(axis=0) for c in np.unique(labels)]))
    images = unit_length(pooled)
    fitted = fit_familiarity(pooled, labels, val[1])
    if fitted is None:
        raise UserError("The run's features do not vary, so that no score can be fitted to them.")
    return {
        "energy": lambda logits, _: -logsumexp(logits, axis=1),
        "largest_logit": lambda logits, _: -logits.max(axis=1),
        "cosine_to_mean": lambda _, rows: 1 - (unit_length(rows) @ means.T).max(axis=1),
        "cosine_to_image": lambda _, rows: 1 - (unit_length(rows) @ images.T).max(axis=1),
        "mahalanobis": lambda _, rows: fitted.squared_distances(rows)[0],
        "mahalanobis_of_unit_length": lambda _, rows: fitted.squared_distances(rows)[1],
        "in_use": _in_use(fitted),
    }


def _in_use(fitted: Familiarity) -> Any:
    return lambda _, rows: fitted.distance(rows)


def _strange(size: int, photos: Path | None) -> dict[str, np.ndarray]:
    """``(n, S, S, 3)`` uint8 of each kind."""
    rng = np.random.default_rng(0)
    found = {
        "noise": rng.integers(0, 256, (DRAWN, size, size, 3), dtype=np.uint8),
        "smooth_noise": np.stack([_smooth(rng, size) for _ in range(DRAWN)]),
        "shapes": np.stack([_shapes(rng, size) for _ in range(DRAWN)]),
        "flat": np.stack(
            [np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(DRAWN)]
        ),
    }
    if photos is not None:
        files = sorted(path for path in photos.rglob("*") if path.suffix.lower() == ".jpg")
        if not files:
            raise UserError(f"There is no .jpg file in {photos}.")
        some = rng.permutation(len(files))[:PHOTOS]
        found["photographs"] = np.stack([decode_image(files[i], size) for i in some])
    return found


def _smooth(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def _shapes(rng: np.random.Generator, size: int) -> np.ndarray:
    def colour() -> tuple[int, ...]:
        return tuple(int(value) for value in rng.integers(0, 256, 3))

    image = Image.new("RGB", (2 * size, 2 * size), colour())
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 12)):
        left, top, width, height = (int(value) for value in rng.integers(10, size, 4))
        paint = draw.ellipse if rng.integers(2) else draw.rectangle
        paint((left, top, left + width, top + height), fill=colour())
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


@torch.no_grad()
def _features(network: Network, images: np.ndarray) -> Features:
    outputs = [
        network(torch.from_numpy(some).permute(0, 3, 1, 2).float() / 255)
        for some in np.array_split(images, -(-len(images) // 64))
    ]
    logits, pooled = ([getattr(o, name) for o in outputs] for name in ("logits", "pooled"))
    return torch.cat(logits).numpy(), torch.cat(pooled).numpy()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench unlike`` and its options."""
    parser.description = (
        "Scores that may tell what is unlike anything trained on: the area under the ROC curve of "
        "noise, drawn shapes, flat colours and photographs against a run's test images. Two "
        "minutes a run on one core."
    )
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="folders of finished runs (default: those of the bundled study)",
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="photographs, in any folders")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print, and end with the figures."""
    found = {}
    for path in args.runs or [ASSETS / name for name in RUNS]:
        found[path.name] = measure_unlike(RunFolder(path), args.photos)
        for score, row in found[path.name].items():
            for figure, value in row.items():
                print_figure(f"{path.name} {score} {figure}", value)
    return print_end(found, args.json)
