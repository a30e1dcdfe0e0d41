"""Which network: a name, a stride and a few plain options, checked before anything is built."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dait.errors import UserError

SUGGESTED_NETWORKS: tuple[str, ...] = (
    "resnet10t",
    "resnet18",
    "regnetx_002",
    "mobilenetv2_035",
    "mobilenetv2_050",
    "mobilenetv3_small_050",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_small_050",
    "ghostnet_100",
    "lcnet_050",
    "tf_efficientnet_lite0",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
)
"""timm networks small enough to train without a GPU, each with the whole wrapper working."""

TORCHVISION_NETWORKS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "torchvision:shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
        "torchvision:shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
        "torchvision:shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
        "torchvision:shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
    }
)
"""ShuffleNetV2 is not in timm: its names and stage widths (Ma et al. 2018, table 5)."""

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
        "embed_dim",
        "global_pool",
        "img_size",
        "layers",
        "mlp_ratio",
        "num_heads",
        "patch_size",
        "proj_drop_rate",
        "replace_stem_pool",
        "stem_type",
        "stem_width",
        "width_mult",
        "window_size",
    }
)
"""Options that only shape the network: none of them can name a file, an address or code."""

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


class NetworkSpec(BaseModel):
    """A student or an intermediate teacher, before it is built.

    name: a timm name (``resnet10t``, ``resnet18.a1_in1k``), or ``torchvision:shufflenet_v2_x1_0``.
    pretrained: start from the library's own ImageNet weights (downloaded once, then cached).
    output_stride: image pixels per cell of the last map; 16 and 8 give larger heatmaps and cost
        more; networks that cannot be dilated refuse them when they are built.
    options: numbers, words, booleans and lists of them, passed to the library as they are; only
        the names in ``SAFE_OPTIONS``.

    Raises ``UserError`` for an unknown or unsafe name or option, and pydantic's
    ``ValidationError`` for an unknown field or a wrong type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str
    pretrained: bool = False
    output_stride: Literal[8, 16, 32] = 32
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known_name(cls, name: str) -> str:
        check_network_name(name)
        return name

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
    """Raise ``UserError`` unless ``name`` is one that timm or this project knows.

    The suggested names need no import of timm, which takes seconds: the app reads its recipes
    while it starts.
    """
    if name in SUGGESTED_NETWORKS or name in TORCHVISION_NETWORKS:
        return
    if ":" in name and name.startswith("torchvision:"):
        raise UserError(
            f"There is no network “{name}” here. From torchvision there are: "
            f"{', '.join(TORCHVISION_NETWORKS)}."
        )
    if not _NAME.fullmatch(name):
        raise UserError(
            f"“{name}” is not a network name. Give a name from timm's list, such as resnet18 or "
            "mobilenetv3_small_100; folders, files and hub addresses are not accepted."
        )
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        known = [*timm.list_models(), *TORCHVISION_NETWORKS]
        raise UserError(
            f"There is no network “{architecture}” in timm {timm.__version__}. "
            f"{_near(architecture, known)}"
            "`python -c 'import timm; print(timm.list_models())'` lists all."
        )
    if tag and not timm.models.is_model_pretrained(name):
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
        raise UserError(
            f"timm's {architecture} has no weights “{tag}”. It has: {', '.join(tags) or 'none'}. "
            "Leave the part after the dot out for its default."
        )


def _near(word: str, known: list[str] | frozenset[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(matches)}? " if matches else ""


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
