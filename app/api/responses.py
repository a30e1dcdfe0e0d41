"""The endpoints' answers as plain JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from app.compare.views import AUTOMATIC, METHODS
from app.config import AppConfig, hide_paths
from app.predict.views import Explained
from app.studies.entries import StudyEntry, open_study
from app.ui.pictures import picture_address
from app.ui.wording import listed
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Explanation
from dait.evidence.heatmaps.overlay import overlay

_OPACITY = 0.6


def study_json(config: AppConfig, entry: StudyEntry) -> dict[str, Any]:
    """One study's entry of ``/status``."""
    try:
        eta = open_study(config, entry.id).status().get("eta_seconds")
    except UserError:
        eta = None  # damaged, or deleted since it was listed
    return {
        "study": entry.id,
        "title": entry.title,
        "state": entry.state,
        "progress": entry.progress,
        "eta_seconds": eta,
        "message": hide_paths(entry.message),
        "place": entry.position,
        "arms": list(entry.arms),
        "seeds": list(entry.seeds),
        "top1": entry.top1,
        "shipped": entry.shipped,
    }


def method_of(name: object) -> str | None:
    """A heatmap method by its name; None for each network's default. Raises ``UserError``."""
    if not isinstance(name, str) or name not in METHODS:
        raise UserError(f"There is no such heatmap method; choose {listed(list(METHODS))}.")
    return None if name == AUTOMATIC else name


def target_of(comparison: Comparison, text: object) -> int | None:
    """A class by key or name; None for an empty text. Raises ``UserError`` with similar names."""
    if not isinstance(text, str):
        raise UserError("target: give the key or the name of a class, or an empty text.")
    return comparison.class_index(text) if text else None


def explained_json(found: Explained) -> dict[str, Any]:
    """The answer of ``/explain``."""
    answers = {network["network"]: network for network in found.image["networks"]}
    return {
        "image": found.image["image"],
        "networks": [
            {**_network(found, explanation), **answers.get(explanation.member.key, {})}
            for explanation in found.explanations
        ],
        "left_out": found.left_out,
    }


def _network(found: Explained, explanation: Explanation) -> dict[str, Any]:
    member, info = explanation.member, found.comparison.classes[explanation.target]
    return {
        "network": member.key,
        "role": member.role,
        "title": member.title,
        "target": {"index": explanation.target, "key": info.key, "name": info.name},
        "heatmap": None if explanation.empty else explanation.raw.tolist(),
        "note": hide_paths(explanation.note),
        "picture": picture_address(_covered(found.picture.shown, explanation.heat), kind="PNG"),
    }


def _covered(shown: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The ``(D, D, 3)`` photograph under its ``(S, S)`` heatmap."""
    size = shown.shape[1::-1]
    larger = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return overlay(shown, np.clip(np.asarray(larger), 0, 1), _OPACITY)
