"""What ``study.json`` and ``teacher.npz`` say of a study's data and frozen teacher."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from torch import nn

from dait.errors import UserError
from dait.events import Emit, ignore
from dait.models.cost import count_parameters
from dait.runs.folder import StudyFolder
from dait.storage.files import write_atomically
from dait.study.context import Workbench, left_out
from dait.study.moved import accept_data, data_facts, versions_changed
from dait.teachers.weights import sources_of


def settle_facts(
    folder: StudyFolder, bench: Workbench, emit: Emit = ignore, accept_versions: bool = False
) -> None:
    """Write the facts of a new study, or check that they still hold for one that goes on.

    accept_versions: go on where other versions of libraries read the images; what is accepted is
    noted. Raises UserError when the images or the teacher are not what the study began with.
    """
    described = folder.description()
    if "data" in described and "teacher" in described:
        _check_teacher(folder, described, bench)
        known = accept_data(folder, described, bench.data, emit, accept_versions)
        if known and known != described["data"]:
            folder.write_description(described | {"data": known})
        return
    # study.json comes last: a study that knows its data has its teacher's file too.
    _write_teacher(folder, bench)
    folder.write_description(described | _facts(bench))
    for line in left_out(bench.data):
        folder.log(line)


def _check_teacher(folder: StudyFolder, described: dict[str, Any], bench: Workbench) -> None:
    teacher = described["teacher"]
    if teacher.get("weights_hash") not in (None, bench.teacher.weights_hash):
        changed = versions_changed(folder)
        since = f" (since then, {' and '.join(changed)})" if changed else ""
        raise UserError(
            f"The weights of the teacher {bench.teacher.name} are not those that {folder.path} was "
            f"begun with{since}. Put them back, or start a new study."
        )


def _facts(bench: Workbench) -> dict[str, Any]:
    return {
        "classes": [
            {"key": info.key, "name": info.name, "group": info.group} for info in bench.data.classes
        ],
        "data": data_facts(bench.data),
        "teacher": {
            "name": bench.teacher.name,
            "reads_text": bench.teacher.reads_text,
            "weights_hash": bench.teacher.weights_hash,
            "files": sources_of(bench.recipe.teacher.name),
            **_size(bench),
            "zero_shot_top1": bench.zero_shot["top1"],
            "zero_shot_top5": bench.zero_shot["top5"],
            "zero_shot_interval": bench.zero_shot["top1_interval"],
        },
    }


def _size(bench: Workbench) -> dict[str, int]:
    teacher = bench.teacher
    return {"parameters": count_parameters(teacher)} if isinstance(teacher, nn.Module) else {}


def _write_teacher(folder: StudyFolder, bench: Workbench) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        prototypes=bench.prototypes.vectors.numpy(),
        logit_scale=np.float32(bench.prototypes.logit_scale),
        embeddings=bench.embeddings.numpy().astype(np.float16),
    )
    write_atomically(folder.path / "teacher.npz", buffer.getvalue())
