"""What a finished run is measured by: figures on the test split, costs, stored predictions."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dait.arms.plan import ROLE_TITLES
from dait.data.base import Split
from dait.distributed import device, this_world
from dait.models.checkpoint import weights_digest
from dait.models.cost import measure_cost
from dait.models.network import Network
from dait.runs.folder import RunFolder
from dait.storage.files import write_atomically
from dait.tasks.base import Role
from dait.training.inference import Predictions, predict_split

LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow")


def evaluate(logits: Tensor, labels: np.ndarray, slices: Any) -> dict[str, Any]:
    """The figures of ``dait.evaluation.metrics`` for logits on any device."""
    from dait.evaluation.metrics import evaluate_logits

    return evaluate_logits(logits.float().cpu().numpy(), labels, slices)


def versions() -> dict[str, str]:
    """What a figure depends on besides the recipe."""
    found = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}


def runtime() -> dict[str, Any]:
    """What the order of sums depends on, and so the last bits of weights: the same seed gives other
    weights with one thread than with two."""
    where = device()
    named = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "processes": this_world().size,
        "device": named,
    }


def measure_networks(
    networks: Mapping[Role, Network], test: Split, folder: RunFolder, fingerprint: str
) -> dict[str, Any]:
    """Figures and costs of every network of a run on the test split, the student's at the top.

    ``between`` holds those of the networks that taught it, by role. Logits and pooled vectors of
    all are written to ``predictions.npz``. fingerprint: of the data. Raises UserError if that
    cannot be written.
    """
    answers = {role: predict_split(network, test) for role, network in networks.items()}
    figures: dict[Role, dict[str, Any]] = {}
    for role, network in networks.items():
        figures[role] = {
            **evaluate(answers[role].logits, test.labels, test.slices),
            "network": network.spec.name,
            **_cost_figures(network, folder, role),
            "map": [network.map_channels, *network.map_size],
        }
    arrays = prediction_arrays(answers, test) | made_of(folder, fingerprint)
    write_predictions(folder.predictions, arrays)
    between = {
        role: {**found, "title": ROLE_TITLES[role]}
        for role, found in figures.items()
        if role != "student"
    }
    return {**figures["student"], "between": between, "intermediate": between.get("intermediate")}


def _cost_figures(network: Network, folder: RunFolder, role: Role) -> dict[str, Any]:
    cost = measure_cost(network, folder.weights(role))
    return {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "latency_ms": cost.latency_ms,
        "file_bytes": cost.file_bytes,
    }


def prediction_arrays(answers: Mapping[Role, Predictions], split: Split) -> dict[str, np.ndarray]:
    """What ``predictions.npz`` holds, by name: ARCHITECTURE.md lists it."""
    arrays = {"labels": np.asarray(split.labels), "ids": np.asarray(split.ids)}
    for name, values in split.slices.items():
        arrays[f"slice_{name}"] = np.asarray(values, dtype=str)
    for role, found in answers.items():
        prefix = "" if role == "student" else f"{role}_"
        arrays |= {f"{prefix}logits": _half(found.logits), f"{prefix}pooled": _half(found.pooled)}
    return arrays


WEIGHTS, DATA = "weights", "data"
"""Arrays that say what kept predictions are of: digests of the networks' files, of the images."""


def networks_of(run: RunFolder) -> dict[Role, Path]:
    """The files of a run's networks that are here, by role."""
    return {role: run.weights(role) for role in ROLE_TITLES if run.weights(role).exists()}


def made_of(run: RunFolder, fingerprint: str) -> dict[str, np.ndarray]:
    """The arrays of these names: ``weights`` is JSON, the digest of each network by its role."""
    digests = {role: weights_digest(file) for role, file in networks_of(run).items()}
    return {WEIGHTS: np.array(json.dumps(digests)), DATA: np.array(fingerprint)}


def other_networks(run: RunFolder, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a network that is here is not the one that ``arrays`` are of; those of versions that
    did not say so of every network are not of any."""
    try:
        kept = json.loads(str(arrays[WEIGHTS]))
        return any(kept.get(role) != weights_digest(f) for role, f in networks_of(run).items())
    except (KeyError, ValueError, AttributeError):
        return True


def write_predictions(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``path``, atomically. Raises UserError if that is not possible."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def _half(values: Tensor) -> np.ndarray:
    """As fp16, or as they are where a badly trained network gives more than fp16 can hold."""
    half = values.half()
    return (half if torch.isfinite(half).all() else values).numpy()
