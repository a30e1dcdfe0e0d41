"""How much of a heatmap lies on the object: raw maps against masks.

All figures are fractions of [0, 1] and use the raw map, upsampled bilinearly to the mask's size
and never scaled. A map that is zero everywhere, and an image without any object pixel, are counted
and left out of every mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Localisation:
    """Figures per image; NaN where an image could not be scored.

    mass: ``(N,)`` relevance mass accuracy, the share of the relevance inside the object (Arras,
        Osman and Samek 2022; on a box, the energy-based pointing game of Wang et al. 2020).
    area: ``(N,)`` the object's share of the image: what a uniform map scores as mass.
    pointing: ``(N,)`` pointing game without tolerance (Zhang et al. 2018): the share of the map's
        maxima that lie on the object, which is 0 or 1 unless the maximum is met more than once.
    rank: ``(N,)`` relevance rank accuracy (Arras et al.): with K object pixels, the share of the K
        most relevant pixels on the object; pixels of equal relevance count by their mean.
    part_mass, part_area: ``(N, P)`` the same for every part, NaN where the part cannot be seen.
    empty: ``(N,)`` bool, the map is zero everywhere; unmasked: ``(N,)`` bool, no object in sight.
    """

    mass: np.ndarray
    area: np.ndarray
    pointing: np.ndarray
    rank: np.ndarray
    part_mass: np.ndarray
    part_area: np.ndarray
    empty: np.ndarray
    unmasked: np.ndarray
    part_names: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Means over the scored images, with ``scored``, ``empty`` and ``unmasked`` counts.

        A mean over no image is None. ``parts`` is {name: {mass, area, images}}.
        """
        parts = {}
        for index, name in enumerate(self.part_names):
            seen = self.part_mass[:, index]
            parts[name] = {
                "mass": _mean(seen),
                "area": _mean(self.part_area[:, index]),
                "images": int(np.isfinite(seen).sum()),
            }
        return {
            "mass": _mean(self.mass),
            "area": _mean(self.area),
            "pointing": _mean(self.pointing),
            "rank": _mean(self.rank),
            "scored": int(np.isfinite(self.mass).sum()),
            "empty": int(self.empty.sum()),
            "unmasked": int(self.unmasked.sum()),
            "parts": parts,
        }


def localise(raw: Tensor, masks: np.ndarray, part_names: Sequence[str] = ()) -> Localisation:
    """Score raw maps ``(N, h, w)`` against masks ``(N, S, S)`` of part labels.

    masks: 0 is background, ``k > 0`` the part ``part_names[k - 1]``; every label above 0 belongs
    to the object, also where ``part_names`` does not name it.
    Raises ``ValueError`` where the counts differ or a map is negative or not finite.
    """
    masks = np.asarray(masks)
    if raw.ndim != 3 or masks.ndim != 3 or len(raw) != len(masks):
        raise ValueError(f"maps {tuple(raw.shape)} and masks {masks.shape} do not fit")
    if not bool((torch.isfinite(raw) & (raw >= 0)).all()):
        raise ValueError("raw maps must be finite and not negative")
    n, parts = len(raw), len(part_names)
    scores = {name: np.full(n, np.nan) for name in ("mass", "area", "pointing", "rank")}
    part_mass, part_area = np.full((n, parts), np.nan), np.full((n, parts), np.nan)
    empty, unmasked = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for index in range(n):
        labels = masks[index].astype(np.int64).ravel()
        relevance = _upsampled(raw[index], masks.shape[1:]).ravel()
        total, inside = relevance.sum(), labels > 0
        empty[index], unmasked[index] = total <= 0, not inside.any()
        if empty[index] or unmasked[index]:
            continue
        scores["mass"][index] = relevance[inside].sum() / total
        scores["area"][index] = inside.mean()
        scores["pointing"][index] = inside[relevance == relevance.max()].mean()
        scores["rank"][index] = _rank_accuracy(relevance, inside)
        pixels = np.bincount(labels, minlength=parts + 1)[1 : parts + 1]
        mass = np.bincount(labels, weights=relevance, minlength=parts + 1)[1 : parts + 1]
        seen = pixels > 0
        part_mass[index, seen] = mass[seen] / total
        part_area[index, seen] = pixels[seen] / len(labels)
    return Localisation(
        **scores,
        part_mass=part_mass,
        part_area=part_area,
        empty=empty,
        unmasked=unmasked,
        part_names=tuple(part_names),
    )


def _upsampled(raw: Tensor, size: tuple[int, ...]) -> np.ndarray:
    resized = F.interpolate(
        raw[None, None].to(torch.float64), size=size, mode="bilinear", align_corners=False
    )
    return resized[0, 0].cpu().numpy()


def _rank_accuracy(relevance: np.ndarray, inside: np.ndarray) -> float:
    count = int(inside.sum())
    threshold = np.partition(relevance, -count)[-count]
    above, tied = relevance > threshold, relevance == threshold
    places_left = count - int(above.sum())
    hits = int((above & inside).sum()) + places_left * float(inside[tied].mean())
    return hits / count


def _mean(values: np.ndarray) -> float | None:
    scored = values[np.isfinite(values)]
    return float(scored.mean()) if len(scored) else None
