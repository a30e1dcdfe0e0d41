"""How a study's test split is cut for looking at parts of it: habitat, background, light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from dait.evaluation.records import SeedRecord, StudyRecord

MOST_VALUES = 60
"""A slice with more values than this tells single images apart and no parts."""


def test_slices(study: StudyRecord, seed: SeedRecord) -> dict[str, np.ndarray]:
    """Names to ``(N,)`` strings: what the runs kept, the classes' groups, or nothing.

    Runs of older versions kept none; of a Field Guide they are told again without drawing it.
    """
    found = dict(seed.slices) or _undrawn(study)
    found = {name: cut for name, cut in found.items() if len(cut) == len(seed.labels)}
    groups = np.asarray([info.group or "other" for info in study.classes])[seed.labels]
    if len(set(groups)) > 1:
        found["group"] = groups
    return {name: cut for name, cut in found.items() if 1 < len(set(cut)) <= MOST_VALUES}


def _undrawn(study: StudyRecord) -> Mapping[str, np.ndarray]:
    data = study.recipe.data
    if data.source != "fieldguide":
        return {}
    from dait.data.fieldguide.dataset import FieldGuideOptions, slices_undrawn

    names = {field.name for field in fields(FieldGuideOptions)}
    return slices_undrawn(FieldGuideOptions(**data.model_dump(include=names)), "test")
