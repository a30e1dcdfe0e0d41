"""All teachers that a recipe can name, without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import open_clip
import timm

from dait.errors import UserError
from dait.models.packages import PACKAGED_TEACHERS
from dait.teachers.weights import BUNDLED, estimated_bytes, is_here, parameters_of

Kind = Literal["own", "openclip", "timm"]
KINDS: tuple[Kind, ...] = ("own", "openclip", "timm")
PAPER = "openclip:convnext_xxlarge/laion2b_s34b_b82k_augreg_soup"
"""The teacher of the paper."""

HUB_EXAMPLES = (
    "openclip:hf-hub:imageomics/bioclip",
    "openclip:hf-hub:imageomics/bioclip-2",
)
"""Repositories of the hub worth knowing; any other in OpenCLIP's layout can be named too."""


@dataclass(frozen=True)
class TeacherEntry:
    """A teacher that can be named.

    kind: ``own`` comes with the project, ``openclip`` reads text, ``timm`` sees images only.
    parameters, image_size (pixels) and download_bytes (estimated: four bytes a parameter) are None
    where nothing on this machine tells. here: whether it can be loaded without the network.
    """

    name: str
    kind: Kind
    model: str
    tag: str
    reads_text: bool
    parameters: int | None
    image_size: int | None
    download_bytes: int | None
    here: bool


def list_teachers(
    search: str = "", kinds: tuple[Kind, ...] = KINDS, here_only: bool = False
) -> list[TeacherEntry]:
    """The teachers whose names have every word of ``search`` in them, in any order and case.

    here_only: only those whose weights are on this machine. Imports OpenCLIP and timm, as far as
    ``kinds`` needs them: some seconds. Raises ``UserError`` for an unknown kind.
    """
    strange = sorted(set(kinds) - set(KINDS))
    if strange:
        raise UserError(f"There is no kind of teacher ‘{strange[0]}’: {', '.join(KINDS)}.")
    words = search.lower().split()
    found = []
    for kind in KINDS:
        if kind in kinds:
            listed = {"own": _own, "openclip": _openclip, "timm": _timm}[kind]
            found += list(listed(words))
    return [entry for entry in found if entry.here or not here_only]


def _matches(name: str, words: list[str]) -> bool:
    return all(word in name.lower() for word in words)


def _own(words: list[str]) -> Iterator[TeacherEntry]:
    for name in (*BUNDLED, *PACKAGED_TEACHERS):
        if _matches(name, words):
            reads_text = name not in PACKAGED_TEACHERS
            yield TeacherEntry(name, "own", name, "", reads_text, None, None, None, is_here(name))


def _openclip(words: list[str]) -> Iterator[TeacherEntry]:
    for model, tag in open_clip.list_pretrained():
        name = f"openclip:{model}/{tag}"
        if _matches(name, words):
            size = open_clip.get_model_config(model)["vision_cfg"].get("image_size", 224)
            yield TeacherEntry(
                name=name,
                kind="openclip",
                model=model,
                tag=tag,
                reads_text=True,
                parameters=parameters_of(model),
                image_size=int(size if isinstance(size, int) else size[0]),
                download_bytes=estimated_bytes(name),
                here=is_here(name),
            )
    for name in HUB_EXAMPLES:
        if _matches(name, words):
            model = name.partition(":")[2]
            yield TeacherEntry(name, "openclip", model, "", True, None, None, None, is_here(name))


def _timm(words: list[str]) -> Iterator[TeacherEntry]:
    for model in timm.list_pretrained():
        name = f"timm:{model}"
        if _matches(name, words):
            config = timm.get_pretrained_cfg(model)
            size = int(config.input_size[-1]) if config else None
            tag = model.partition(".")[2]
            yield TeacherEntry(name, "timm", model, tag, False, None, size, None, is_here(name))
