"""OpenCLIP's description of a model (``model_cfg``), checked before a library acts on it.

A hub repository may write anything into it: a tokenizer that brings code along, an image tower
that is another repository. Only what shapes a network passes.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Any

from dait.errors import UserError

TOKENIZER_OPTIONS = ("clean", "strip_sep_token")
"""What ``tokenizer_kwargs`` may hold: it is passed to a tokenizer, ``trust_remote_code`` too."""

_TOWER = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


def check_architecture(config: Any, teacher: str) -> dict[str, Any]:
    """The ``model_cfg`` itself, if it only shapes a network.

    Raises ``UserError``, naming what is wrong, for one that is incomplete, that names an image
    tower outside of timm, or that hands a tokenizer options which could bring code along; and for
    a text tower of a library that is not installed.
    """
    parts = ("vision_cfg", "text_cfg")
    if not isinstance(config, Mapping) or not all(isinstance(config.get(p), dict) for p in parts):
        raise UserError(
            f"The teacher {teacher} cannot be loaded: its configuration has no model_cfg with "
            "vision_cfg and text_cfg, so it is no OpenCLIP model."
        )
    tower = config["vision_cfg"].get("timm_model_name")
    if tower is not None and not _TOWER.fullmatch(str(tower)):
        raise UserError(
            f"The teacher {teacher} is refused: its image tower is ‘{tower}’, which is no name "
            "from timm's own list."
        )
    text = config["text_cfg"]
    options = text.get("tokenizer_kwargs") or {}
    strange = sorted(set(options) - set(TOKENIZER_OPTIONS))
    if strange or text.get("tokenizer_mode"):
        what = strange[0] if strange else f"tokenizer_mode {text['tokenizer_mode']}"
        raise UserError(
            f"The teacher {teacher} is refused: it hands its tokenizer the option ‘{what}’. Only "
            f"{' and '.join(TOKENIZER_OPTIONS)} are passed on; others could bring code along."
        )
    if text.get("hf_model_name") and importlib.util.find_spec("transformers") is None:
        raise UserError(
            f"The text tower of {teacher} ({text['hf_model_name']}) is one of the transformers "
            "library: pip install transformers; or choose one of the many OpenCLIP models without."
        )
    return dict(config)
