"""A frozen teacher by the name that a recipe gives, and its class prototypes for a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dait.data.base import Dataset
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.models.packages import PACKAGED_TEACHERS
from dait.models.spec import check_network_name
from dait.storage.paths import absolute
from dait.teachers.base import FrozenTeacher, text_prototypes
from dait.teachers.embedding import embed_split
from dait.teachers.openclip.demo import load_bundled
from dait.teachers.openclip.load import (
    check_known,
    load_openclip,
    load_openclip_folder,
    load_openclip_hub,
)
from dait.teachers.prompt_warnings import (
    similar_class_warnings,
    truncated_texts,
    truncation_warnings,
)
from dait.teachers.prompts import Prompts, class_prompts
from dait.teachers.vision_only import (
    calibrated_logit_scale,
    class_mean_prototypes,
    load_vision_teacher,
)
from dait.teachers.weights import BUNDLED, HUB_MARK, fetch_weights

FORMS = (
    "fieldguide-clip, fieldguide-clip-generalist, openclip:MODEL/TAG (say "
    "openclip:ViT-B-32/laion2b_s34b_b79k), openclip:hf-hub:OWNER/NAME, openclip-local:FOLDER, "
    f"{', '.join(PACKAGED_TEACHERS)}, or timm:NAME"
)


@dataclass(frozen=True)
class Prototypes:
    """``(C, d)`` unit vectors, one a class, and κ, the scale of the zero-shot logits.

    warnings: sentences about truncated texts, and about classes that the
    vectors do not tell apart.
    """

    vectors: Tensor
    logit_scale: float
    warnings: tuple[str, ...] = ()


def load_teacher(name: str, image_size: int | None = None, emit: Emit = ignore) -> FrozenTeacher:
    """The frozen teacher called ``name``.

    image_size: the side at which a timm teacher sees its images, None for its own; an OpenCLIP
    model's size is fixed. emit: hears of a download. Raises UserError when the teacher is unknown
    or not available, with what to do.
    """
    kind, _, rest = name.partition(":")
    if name in BUNDLED:
        return load_bundled(name)
    if name in PACKAGED_TEACHERS or (kind == "timm" and rest):
        return load_vision_teacher(name, image_size, emit)
    if kind == "openclip" and rest.startswith(HUB_MARK):
        return load_openclip_hub(rest[len(HUB_MARK) :], emit)
    if kind == "openclip" and "/" in rest:
        model, _, tag = rest.rpartition("/")
        return load_openclip(model, tag, emit)
    if kind == "openclip-local" and rest:
        return load_openclip_folder(absolute(rest))
    raise unknown_teacher(name)


def fetch_teacher(name: str, emit: Emit = ignore) -> list[Path]:
    """Download what the teacher needs and is not here, without loading it; where the files lie.

    Quick where everything is here. Raises UserError as ``load_teacher`` does.
    """
    kind, _, rest = name.partition(":")
    if kind == "openclip" and "/" in rest:
        if not rest.startswith(HUB_MARK):
            model, _, tag = rest.rpartition("/")
            check_known(model, tag)
        return fetch_weights(name, emit)
    if kind == "timm" and rest:
        check_network_name(rest)
        return fetch_weights(name, emit)
    if name in PACKAGED_TEACHERS:
        PACKAGED_TEACHERS[name].file()  # or the sentence that says what to install
        return []
    if name in BUNDLED or (kind == "openclip-local" and rest):
        return []
    raise unknown_teacher(name)


def unknown_teacher(name: str) -> UserError:
    """The sentence for a name of no known form."""
    return UserError(f"There is no teacher called {name!r}. Known forms: {FORMS}.")


def prototypes_of(
    teacher: FrozenTeacher, data: Dataset, prompts: Prompts | None = None
) -> Prototypes:
    """From the class texts where the teacher reads text, else from the training images.

    prompts: the class texts; by default the data set's own descriptions. A vision-only
    teacher's κ is chosen on the validation split (our choice, see ``calibrated_logit_scale``).
    Raises UserError for prompts that the teacher cannot read or that describe no class.
    """
    if teacher.reads_text:
        classes = class_prompts(data.classes, prompts or Prompts())
        vectors, scale = text_prototypes(teacher, classes), teacher.logit_scale
        warnings = truncation_warnings(classes, truncated_texts(teacher, classes))
        warnings += similar_class_warnings(teacher, classes, vectors, scale)
        return Prototypes(vectors, scale, warnings)
    if prompts:
        raise UserError(
            f"The teacher {teacher.name} sees images only and cannot read prompts. Remove "
            "`templates` and `descriptions`, or choose an OpenCLIP teacher."
        )
    train, val = data.split("train"), data.split("val")
    vectors = class_mean_prototypes(
        embed_split(teacher, train.images), torch.as_tensor(train.labels), len(data.classes)
    )
    scale = calibrated_logit_scale(
        embed_split(teacher, val.images), torch.as_tensor(val.labels), vectors
    )
    return Prototypes(vectors, scale, similar_class_warnings(teacher, data.classes, vectors, scale))
