"""What ``study.json`` and ``teacher.npz`` say of a study's data and its frozen teacher."""

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
from dait.study.context import StudyContext, left_out
from dait.study.moved import accept_data, data_facts, versions_changed
from dait.teachers.weights import sources_of


def describe_or_check(
    folder: StudyFolder, context: StudyContext, emit: Emit = ignore, accept_versions: bool = False
) -> None:
    """Describe the data and teacher of a new study, or check those of a resumed one.

    accept_versions: accept that other versions of libraries read the images, with a note. Raises
    UserError when the images or the teacher are not what the study began with.
    """
    described = folder.description()
    if "data" in described and "teacher" in described:
        _check_teacher(folder, described, context)
        known = accept_data(folder, described, context.data, emit, accept_versions)
        if known and known != described["data"]:
            folder.write_description(described | {"data": known})
        return
    # study.json comes last: a study that knows its data has its teacher's file too.
    _write_teacher(folder, context)
    folder.write_description(described | _facts(context))
    for line in left_out(context.data):
        folder.log(line)


def _check_teacher(folder: StudyFolder, described: dict[str, Any], context: StudyContext) -> None:
    teacher = described["teacher"]
    if teacher.get("weights_hash") not in (None, context.teacher.weights_hash):
        changed = versions_changed(folder)
        since = f" (since then, {' and '.join(changed)})" if changed else ""
        raise UserError(
            f"The weights of the teacher {context.teacher.name} are not those that {folder.path} "
            f"was begun with{since}. Put them back, or start a new study."
        )


def _facts(context: StudyContext) -> dict[str, Any]:
    return {
        "classes": [
            {"key": info.key, "name": info.name, "group": info.group}
            for info in context.data.classes
        ],
        "data": data_facts(context.data),
        "teacher": {
            "name": context.teacher.name,
            "reads_text": context.teacher.reads_text,
            "weights_hash": context.teacher.weights_hash,
            "files": sources_of(context.recipe.teacher.name),
            **_size(context),
            "zero_shot_top1": context.zero_shot["top1"],
            "zero_shot_top5": context.zero_shot["top5"],
            "zero_shot_interval": context.zero_shot["top1_interval"],
        },
    }


def _size(context: StudyContext) -> dict[str, int]:
    teacher = context.teacher
    return {"parameters": count_parameters(teacher)} if isinstance(teacher, nn.Module) else {}


def _write_teacher(folder: StudyFolder, context: StudyContext) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        prototypes=context.prototypes.vectors.numpy(),
        logit_scale=np.float32(context.prototypes.logit_scale),
        embeddings=context.embeddings.numpy().astype(np.float16),
    )
    write_atomically(folder.path / "teacher.npz", buffer.getvalue())
