"""Which network: a name, a stride and a few plain options, checked before anything is built."""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dait.errors import UserError
from dait.models.catalogue import CURATED_NAMES, IN_RECIPES, TORCHVISION, torchvision_names, unfit
from dait.models.packages import PACKAGE, weights_package
from dait.storage.paths import ASSETS, absolute

SAFE_OPTIONS: frozenset[str] = frozenset(
    {
        "act_layer",
        "attn_drop_rate",
        "avg_down",
        "base_width",
        "cardinality",
        "channels",
        "class_token",
        "depth",
        "depths",
        "dims",
        "down_kernel_size",
        "drop_path_rate",
        "drop_rate",
        "dropout",
        "embed_dim",
        "global_pool",
        "img_size",
        "layers",
        "mlp_ratio",
        "num_heads",
        "patch_size",
        "proj_drop_rate",
        "replace_stem_pool",
        "stem_stride",
        "stem_type",
        "stem_width",
        "width_mult",
        "window_size",
    }
)
"""Options that only shape the network: none of them can name a file, an address or code."""

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")

BACKBONE = "backbone:"
BACKBONES = ASSETS / "backbones"
"""Networks that have learned the attributes of invented birds (``python -m dait backbone``)."""

NAMED_WEIGHTS = (BACKBONE, PACKAGE)
"""What ``weights`` begin with where they are a name, the same on every machine, and no file."""


class NetworkSpec(BaseModel):
    """A student or an intermediate teacher, before it is built.

    name: a timm name (``resnet10t``, ``resnet18.a1_in1k``), or ``torchvision:shufflenet_v2_x1_0``.
    pretrained: start from the library's own ImageNet weights (downloaded once, then cached).
    weights: start from this ``.safetensors`` file instead: one of this project's networks or a
        plain state dict. The path is made absolute here, the file is opened when the network is
        built. ``backbone:NAME`` is a bundled file (``BACKBONES``), ``package:NAME`` ImageNet
        weights of a Python package (``dait.models.packages``).
    output_stride: image pixels per cell of the last map; 16 and 8 give larger heatmaps and cost
        more; networks that cannot be dilated refuse them when they are built.
    options: numbers, words, booleans and lists of them, passed to the library as they are; only
        the names in ``SAFE_OPTIONS``. One is our own: ``stem_stride: 1`` lets the convolution that
        reads the image keep its size, which doubles the map of almost any CNN.

    Raises ``UserError`` for an unknown or unsafe name, option or file, for two starts at once, and
    pydantic's ``ValidationError`` for an unknown field or a wrong type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str
    pretrained: bool = False
    weights: str | None = None
    output_stride: Literal[8, 16, 32] = 32
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known_name(cls, name: str) -> str:
        check_network_name(name)
        return name

    @field_validator("weights")
    @classmethod
    def _safe_file(cls, weights: str | None) -> str | None:
        if weights is None:
            return None
        if weights.startswith(NAMED_WEIGHTS):
            return weights
        if not weights.endswith(".safetensors"):
            raise UserError(
                f"The weights {weights!r} are not a .safetensors file. Pickles (.pt, .pth, .bin) "
                "can run code when they are loaded, so they are refused; convert them where you "
                "trust them, with safetensors.torch.save_file(state_dict, 'weights.safetensors')."
            )
        # A run must find its start again from any working directory.
        return str(absolute(weights))

    @model_validator(mode="after")
    def _one_start(self) -> NetworkSpec:
        if self.pretrained and self.weights is not None:
            raise UserError(
                f"{self.name} has both pretrained: true and weights: {self.weights}; it can start "
                "from one of them only. Leave one out."
            )
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> NetworkSpec:
        if self.weights is None or not self.weights.startswith(PACKAGE):
            return self
        fits = weights_package(self.weights).network
        if self.name.partition(".")[0] != fits:
            raise UserError(
                f"The weights {self.weights} are those of {fits} and do not fit {self.name}. Name "
                f"{fits}, or set weights to null, which starts {self.name} from random ones."
            )
        return self

    @field_validator("options")
    @classmethod
    def _safe_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            if key not in SAFE_OPTIONS:
                raise UserError(
                    f"The network option “{key}” is not one of those that only shape a network. "
                    f"{_near(key, SAFE_OPTIONS)}Allowed: {', '.join(sorted(SAFE_OPTIONS))}."
                )
            if not _is_plain(value):
                raise UserError(
                    f"The network option “{key}” is {value!r}; give a number, a word, true or "
                    "false, or a list of these."
                )
        return {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}


def check_network_name(name: str) -> None:
    """Raise ``UserError`` unless ``name`` is one that timm, torchvision or this project knows.

    The curated names need no import of timm, which takes seconds: the app reads its recipes while
    it starts.
    """
    if name in CURATED_NAMES | IN_RECIPES:
        return
    if name.startswith(TORCHVISION):
        _check_torchvision_name(name)
        return
    if not _NAME.fullmatch(name):
        raise UserError(
            f"“{name}” is not a network name. Give a name from timm's list, such as resnet18 or "
            "mobilenetv3_small_100; folders, files and hub addresses are not accepted."
        )
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        known = [*timm.list_models(), *torchvision_names()]
        raise UserError(
            f"There is no network “{architecture}” in timm {timm.__version__}. "
            f"{_near(architecture, known)}"
            f"`python -m dait networks {architecture[:5]}` searches for others."
        )
    if tag and not timm.models.is_model_pretrained(name):
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
        raise UserError(
            f"timm's {architecture} has no weights “{tag}”. It has: {', '.join(tags) or 'none'}. "
            "Leave the part after the dot out for its default."
        )


def _check_torchvision_name(name: str) -> None:
    from torchvision import models

    bare = name.removeprefix(TORCHVISION)
    known = torchvision_names()
    if name in known:
        return
    why = unfit(bare)
    if why is not None and bare in models.list_models(module=models):
        raise UserError(
            f"{name} cannot be used here: {why}. Choose another, or one of timm's: "
            f"`python -m dait networks {bare.partition('_')[0].rstrip('0123456789')}`."
        )
    raise UserError(
        f"There is no network “{name}” here. {_near(name, known)}"
        "`python -m dait networks torchvision` lists torchvision's."
    )


def _near(word: str, known: list[str] | frozenset[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(matches)}? " if matches else ""


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
