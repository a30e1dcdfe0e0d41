"""Figures and costs of a run that has just been trained, and the predictions that it stores."""

from __future__ import annotations

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
from dait.data.base import Dataset, Split
from dait.distributed import device, this_world
from dait.evaluation.features.familiarity import fit_familiarity
from dait.evaluation.features.similarity import stratified_sample
from dait.evaluation.metrics import evaluate_logits
from dait.evaluation.predictions import DATA, SLICE, WEIGHTS
from dait.models.checkpoint import weights_digest
from dait.models.cost import measure_cost
from dait.models.network import Network
from dait.runs.folder import RunFolder
from dait.storage.files import write_arrays
from dait.tasks.base import Role
from dait.training.inference import Predictions, predict_split

FAMILIAR_IMAGES = 10_000
"""At most so many training images say what is familiar; more cost time and hardly change it."""

LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow")


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
    outputs = {role: predict_split(network, test) for role, network in networks.items()}
    figures: dict[Role, dict[str, Any]] = {}
    for role, network in networks.items():
        figures[role] = {
            **evaluate_logits(outputs[role].logits.numpy(), test.labels, test.slices),
            "network": network.spec.name,
            **_cost_figures(network, folder, role),
            "map": [network.map_channels, *network.map_size],
        }
    arrays = prediction_arrays(outputs, test) | weights_and_data(folder, fingerprint)
    write_arrays(folder.predictions, arrays)
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


def prediction_arrays(outputs: Mapping[Role, Predictions], split: Split) -> dict[str, np.ndarray]:
    """The arrays of ``predictions.npz`` by name; ARCHITECTURE.md lists them."""
    arrays = {"labels": np.asarray(split.labels), "ids": np.asarray(split.ids)}
    for name, values in split.slices.items():
        arrays[f"{SLICE}{name}"] = np.asarray(values, dtype=str)
    for role, found in outputs.items():
        prefix = "" if role == "student" else f"{role}_"
        arrays |= {f"{prefix}logits": _half(found.logits), f"{prefix}pooled": _half(found.pooled)}
    return arrays


def measure_familiarity(
    networks: Mapping[Role, Network], data: Dataset, folder: RunFolder
) -> dict[str, np.ndarray]:
    """What each network's training images look like to it, as the arrays of ``familiarity.npz``.

    From the labelled images of the training split and all of the validation split.
    """
    train, val = data.split("train"), data.split("val")
    labelled = np.flatnonzero(train.labels >= 0)
    chosen = labelled[stratified_sample(train.labels[labelled], FAMILIAR_IMAGES)]
    arrays: dict[str, np.ndarray] = {}
    for role, network in networks.items():
        pooled = predict_split(network, train, index=chosen).pooled.numpy()
        own = fit_familiarity(
            pooled, train.labels[chosen], predict_split(network, val).pooled.numpy()
        )
        if own is not None:
            arrays |= {f"{role}_{name}": values for name, values in own.arrays().items()}
    return arrays | weights_and_data(folder, data.fingerprint)


def networks_of(run: RunFolder) -> dict[Role, Path]:
    """The files of a run's networks that exist, by role."""
    return {role: run.weights(role) for role in ROLE_TITLES if run.weights(role).exists()}


def weights_and_data(run: RunFolder, fingerprint: str) -> dict[str, np.ndarray]:
    """Arrays that say what predictions were made by and for (``RunPredictions``).

    fingerprint: of the data.
    """
    digests = {role: weights_digest(file) for role, file in networks_of(run).items()}
    return {WEIGHTS: np.array(json.dumps(digests)), DATA: np.array(fingerprint)}


def other_networks(run: RunFolder, weights: str | None) -> bool:
    """Whether a network of the run is not among ``RunPredictions.weights``.

    Predictions of versions that did not store digests of every network count as others.
    """
    try:
        stored = json.loads(weights or "")
        return any(stored.get(role) != weights_digest(f) for role, f in networks_of(run).items())
    except (ValueError, AttributeError):
        return True


def _half(values: Tensor) -> np.ndarray:
    """As fp16, or as they are where a badly trained network gives more than fp16 can hold."""
    half = values.half()
    return (half if torch.isfinite(half).all() else values).numpy()
