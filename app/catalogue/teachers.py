"""The frozen teachers that a visitor may choose."""

from __future__ import annotations

from app.config import AppConfig
from dait.errors import UserError

DEMO_TEACHER = "fieldguide-clip"
IMAGE_TEACHER = "imagenet-lite2"
TEACHERS: tuple[tuple[str, str, bool], ...] = (
    ("Demo teacher, knows drawn birds (fieldguide-clip)", DEMO_TEACHER, True),
    ("ImageNet network, sees images only (imagenet-lite2)", IMAGE_TEACHER, True),
    ("EfficientNet-Lite0, smaller, images only (imagenet-lite0)", "imagenet-lite0", True),
    ("OpenCLIP ViT-B-32 (0.6 GB to download)", "openclip:ViT-B-32/laion2b_s34b_b79k", False),
)
"""(title, name, whether every visitor may choose it)."""


def teacher_choices(config: AppConfig) -> list[tuple[str, str]]:
    """(title, name) of the teachers that a visitor may choose."""
    return [(title, name) for title, name, light in TEACHERS if light or config.paths]


def usual_teacher(value: object) -> str:
    """The default teacher for a data set."""
    return DEMO_TEACHER if value == "fieldguide" else IMAGE_TEACHER


def read_teacher(config: AppConfig, name: object) -> str:
    """A teacher's name from a browser; raises ``UserError`` for one that is not offered."""
    if name in [known for _, known in teacher_choices(config)]:
        return str(name)
    # The user of this machine may name any that a recipe may name.
    if config.paths and isinstance(name, str) and 0 < len(name) < 500:
        return name
    raise UserError("Choose the teacher from the list.")
