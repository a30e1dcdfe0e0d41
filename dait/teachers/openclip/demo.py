"""Small OpenCLIP models with a small vocabulary: those that come along, and others of the kind."""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
from safetensors import SafetensorError
from safetensors.torch import save_file

import dait.teachers.openclip.hybrid_vit  # noqa: F401  (registers the tower)
from dait.errors import UserError
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.weights import BUNDLED, CONFIG, VOCABULARY


def register_architecture(name: str, architecture: dict[str, Any]) -> None:
    """Make an OpenCLIP ``model_cfg`` known to OpenCLIP as ``name``, and its image tower to timm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(architecture))
        open_clip.add_model_config(path)


def write_model(
    teacher: OpenClipTeacher,
    tokenizer: CompactTokenizer,
    architecture: dict[str, Any],
    folder: Path,
) -> None:
    """Write OpenCLIP's config, fp16 weights and the kept vocabulary to ``folder``."""
    config = {
        "model_cfg": architecture,
        "preprocess_cfg": {"mean": list(teacher.mean), "std": list(teacher.std)},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    (folder / VOCABULARY).write_text(json.dumps({"rows": list(tokenizer.rows)}))
    tensors = {k: v.half().contiguous().cpu() for k, v in teacher.model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")


@cache
def load_bundled(name: str) -> OpenClipTeacher:
    """A teacher of ``BUNDLED``; loaded once. Raises as ``load_folder`` does."""
    return load_folder(BUNDLED[name], name)


def load_folder(folder: Path, name: str) -> OpenClipTeacher:
    """The model that ``write_model`` wrote, fp32, in eval mode, without gradients.

    Raises UserError if its files are missing, damaged or not of one training.
    """
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(
            f"The weights of {name} are missing: {weights} does not exist. Restore the folder, or "
            "train the teacher again with `python -m dait teacher pretrain`."
        )
    try:
        config = json.loads((folder / CONFIG).read_text())
        rows = json.loads((folder / VOCABULARY).read_text())["rows"]
        architecture = config["model_cfg"]
        tokenizer = CompactTokenizer(rows, architecture["text_cfg"]["context_length"])
        registered = name.replace("/", "-").replace(":", "-")
        register_architecture(registered, architecture)
        model = open_clip.create_model(registered, pretrained=str(weights))
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(
            f"The teacher in {folder} cannot be loaded ({type(error).__name__}). Restore the "
            "folder, or train the teacher again with `python -m dait teacher pretrain`."
        ) from error
    model.float().eval().requires_grad_(False)
    preprocess = config["preprocess_cfg"]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    mean, std = preprocess["mean"], preprocess["std"]
    return OpenClipTeacher(name, model, tokenizer, mean, std, digest)
