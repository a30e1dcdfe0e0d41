"""What a training starts from: the images, the frozen teacher, the augmented views."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from dait.config.section import Section
from dait.data.base import CROP_PCT, Fit, ViewKind
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.storage.paths import absolute
from dait.teachers.prompts import Prompts

LOCAL = "openclip-local"
"""A teacher whose files lie in a folder: ``openclip-local:FOLDER``."""

_FIRST_SETTINGS = {
    *("source", "size", "seed", "habitat_bias", "species", "val_fraction"),
    *("train_per_class", "val_per_class", "test_per_class"),
}
"""What every study ever written says of its data."""


class DataConfig(Section):
    """Which images, at which size, and how they are split."""

    source: str = Field("fieldguide", description="A data set's name, or the path of a folder")
    size: int = Field(
        96, ge=32, le=512, description="Side of the squares that networks see, in pixels"
    )
    crop_pct: float = Field(
        CROP_PCT,
        ge=0.5,
        le=1,
        description="Photographs: evaluation sees so much of the stored image's shorter side; "
        "training views are cut from all of it",
    )
    fit: Fit = Field(
        "crop",
        description="Photographs: crop (the ratio is kept, the centre evaluated), square (the "
        "centre square alone) or letterbox (all of it, with bars; no margin)",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31,
        description="Which images are held out and which keep their labels; Field Guide: which "
        "world is drawn",
    )
    habitat_bias: float = Field(
        0.7, ge=0, le=1, description="Field Guide: chance that a training image is in its habitat"
    )
    train_per_class: int = Field(30, ge=1, le=5000, description="Field Guide: training images")
    val_per_class: int = Field(8, ge=1, le=1000, description="Field Guide: validation images")
    test_per_class: int = Field(25, ge=1, le=1000, description="Field Guide: test images")
    species: int = Field(40, ge=2, le=40, description="Field Guide: number of species")
    differing: int = Field(
        2, ge=1, le=5, description="Field Guide: attributes that differ within a family, at least"
    )
    label_noise: float = Field(
        0.0, ge=0, le=0.9, description="Field Guide: share of training images labelled wrongly"
    )
    long_tail: float = Field(
        1.0, ge=1, le=1000, description="Field Guide: the commonest species' images to the rarest's"
    )
    val_fraction: float = Field(
        0.1, gt=0, le=0.5, description="Folders without a validation split: share held out"
    )
    labelled_per_class: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Training images of a class that keep their labels; the others are used as "
        "unlabelled images. Empty: all",
    )
    use_unlabelled: bool = Field(
        True,
        description="Let arms that distil learn from unlabelled images too; false: leave them out",
    )

    @property
    def framing(self) -> Framing:
        """How a picture becomes what networks see. The Field Guide's are drawn without a margin."""
        if self.source == "fieldguide":
            return Framing(self.size)
        return Framing(self.size, self.crop_pct, self.fit)

    @model_validator(mode="before")
    @classmethod
    def _as_it_was(cls, raw: Any) -> Any:
        """Studies write down every setting: one without some of these is from before they were
        there, when photographs were stored as their centre squares, and unlabelled images not
        read."""
        if not isinstance(raw, dict) or raw.get("source", "fieldguide") == "fieldguide":
            return raw
        if not set(raw) >= _FIRST_SETTINGS:
            return raw
        then: dict[str, Any] = {} if "use_unlabelled" in raw else {"use_unlabelled": False}
        if not {"crop_pct", "fit"} & set(raw):
            then |= {"crop_pct": 1.0, "fit": "square"}
        return {**raw, **then}


class TeacherConfig(Section):
    """The frozen teacher."""

    name: str = Field(
        "fieldguide-clip",
        description="fieldguide-clip, openclip:MODEL/TAG, openclip-local:FOLDER, imagenet-lite0, "
        "imagenet-lite2 or timm:NAME",
    )
    image_size: int | None = Field(
        None,
        ge=32,
        le=512,
        description="Side in pixels at which a timm teacher sees the images; empty: its own",
    )
    templates: tuple[str, ...] = Field(
        (), description="Sentences with {} for a class's name, or openai or simple for CLIP's own"
    )
    descriptions: dict[str, tuple[str, ...]] = Field(
        {}, description="A class's key to sentences about it, instead of the data set's own"
    )

    @field_validator("name")
    @classmethod
    def _from_any_folder(cls, name: str) -> str:
        kind, _, folder = name.partition(":")
        # A run must find its teacher again from any working directory.
        return f"{kind}:{absolute(folder)}" if kind == LOCAL and folder else name

    @property
    def prompts(self) -> Prompts:
        """The texts about the classes for a teacher that reads."""
        return Prompts(self.templates, self.descriptions)

    @model_validator(mode="after")
    def _sentences_will_do(self) -> TeacherConfig:
        try:
            _ = self.prompts
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


class ViewsConfig(Section):
    """The augmented views that a network and the frozen teacher share."""

    kind: ViewKind = Field("full", description="Augmentation of independent, direct and stage 1")
    distinct: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Different views of an image; epochs go round them. 0: a new one every epoch",
    )
    cache: bool = Field(
        True,
        description="Keep the frozen teacher's embeddings of the views on disk; false: it embeds "
        "every batch of every epoch itself",
    )

    def count(self, epochs: int) -> int:
        """Different views of an image that this many epochs show."""
        return min(self.distinct, epochs) if self.distinct else epochs
