"""OpenCLIP models from a pretrained tag, from a hub repository, or from a local folder."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip import SimpleTokenizer
from open_clip.tokenizer import HFTokenizer
from safetensors import SafetensorError

import dait.teachers.openclip.hybrid_vit  # noqa: F401  (makes its towers known to timm)
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.models.checkpoint import tensors_sha256
from dait.teachers.hub import HubFile, fetch, first_line
from dait.teachers.openclip.architecture import check_architecture
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer
from dait.teachers.openclip.hub_tokenizer import HubTokenizer
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.weights import (
    CONFIG,
    HUB_MARK,
    TOKENIZER_FILES,
    VOCABULARY,
    estimated_bytes,
    hub_model,
    openclip_file,
    tokenizer_files,
)

_PREPROCESS = ("mean", "std", "interpolation", "resize_mode")


def load_openclip(model_name: str, tag: str, emit: Emit = ignore) -> OpenClipTeacher:
    """A model by OpenCLIP's name and pretrained tag, downloaded once into the hub's cache.

    Raises UserError for an unknown name or tag, with near matches; when the weights are neither
    in the cache nor available, with the way to get them; and for weights that are code.
    """
    check_known(model_name, tag)
    name = f"openclip:{model_name}/{tag}"
    described = open_clip.get_pretrained_cfg(model_name, tag)
    architecture = check_architecture(open_clip.get_model_config(model_name), name)
    file = openclip_file(model_name, tag)
    tokenizer = _hub_tokenizer(architecture, name, emit)
    weights = fetch(file, name, emit, estimated_bytes(name))
    # OpenCLIP builds ViT-B-32 with GELU whatever the tag was trained with, and only warns.
    options = {
        "force_quick_gelu": bool(described.get("quick_gelu")),
        "force_preprocess_cfg": {key: described[key] for key in _PREPROCESS if key in described},
    }
    return _teacher(name, model_name, weights, architecture, tokenizer, options)


def load_openclip_hub(rest: str, emit: Emit = ignore) -> OpenClipTeacher:
    """A hub repository in OpenCLIP's layout: ``owner/name`` or ``owner/name@version``.

    Raises UserError when it is not available, is no OpenCLIP model, or would bring code along.
    """
    name = f"openclip:{HUB_MARK}{rest}"
    config_file, weights_file = hub_model(rest)
    config = fetch(config_file, name, emit)
    architecture = check_architecture(_read(config, name).get("model_cfg"), name)
    tokenizer = _hub_tokenizer(architecture, name, emit)
    weights = fetch(weights_file, name, emit, estimated_bytes(name))
    return _teacher(name, f"local-dir:{config.parent}", weights, architecture, tokenizer, {})


def load_openclip_folder(folder: Path) -> OpenClipTeacher:
    """A local folder in the hub's layout: ``open_clip_config.json`` and safetensors weights.

    What ``teacher pretrain`` wrote is such a folder too. Raises UserError when a file is missing
    or does not fit. Pickled weights are not read.
    """
    config = folder / CONFIG
    weights = sorted(folder.glob("*.safetensors"))
    if not config.is_file() or len(weights) != 1:
        found = ", ".join(sorted(p.name for p in folder.glob("*"))) or "nothing"
        raise UserError(
            f"{folder} is not an OpenCLIP folder: it should hold {CONFIG} and one "
            f".safetensors file; it holds {found}."
        )
    name = f"openclip-local:{folder}"
    architecture = check_architecture(_read(config, name).get("model_cfg"), name)
    if (folder / VOCABULARY).is_file():
        tokenizer: Any = _compact_tokenizer(architecture, folder / VOCABULARY, name)
    else:
        files = [folder / part for part in TOKENIZER_FILES]
        tokenizer = _tokenizer(architecture, files[0], files[1], name)
    return _teacher(name, f"local-dir:{folder}", weights[0], architecture, tokenizer, {})


def check_known(model_name: str, tag: str) -> None:
    """Raises UserError, with near matches, for what is not in OpenCLIP's list."""
    known = open_clip.list_models()
    if model_name not in known:
        near = difflib.get_close_matches(model_name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UserError(
            f"OpenCLIP has no model called {model_name!r}.{hint} `python -m dait teacher list "
            "--search WORD` searches them."
        )
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if tag not in tags:
        raise UserError(
            f"OpenCLIP's {model_name} has no pretrained tag {tag!r}. Known: "
            f"{', '.join(tags) or 'none'}."
        )


def _teacher(
    name: str,
    reference: str,
    weights: Path,
    architecture: dict[str, Any],
    tokenizer: Any,
    options: dict[str, Any],
) -> OpenClipTeacher:
    """``reference`` is what OpenCLIP calls the model, ``options`` what it builds it with."""
    # What OpenCLIP, timm and torch raise for a config or weights that are damaged or do not fit.
    unusable = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
    try:
        with torch.random.fork_rng(devices=[]), _quiet():
            # In two steps: in one, OpenCLIP may prefer a pickle that lies in the folder too, and
            # downloads towers that the weights then replace.
            model = open_clip.create_model(
                reference, load_weights=False, pretrained_text=False, **options
            )
            open_clip.load_checkpoint(model, str(weights), weights_only=True)
            if tokenizer is None:
                tokenizer = _clip_tokenizer(architecture)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{weights.name} of {name} is a pickle that holds more than tensors. It could run code "
            "when it is loaded, so it is refused; choose a teacher with safetensors."
        ) from error
    except (*unusable, AssertionError, StopIteration, EOFError, SafetensorError) as error:
        raise UserError(
            f"The OpenCLIP model {name} cannot be loaded ({type(error).__name__}: "
            f"{first_line(error)}). Are the weights those of the config, and whole? A damaged "
            f"download is fetched again when {weights} is deleted."
        ) from error
    model.float().eval().requires_grad_(False)
    preprocess = dict(model.visual.preprocess_cfg)
    digest = _identity(model, architecture, preprocess, options)
    mean, std = preprocess["mean"], preprocess["std"]
    how = str(preprocess.get("interpolation", "bicubic"))
    return OpenClipTeacher(name, model, tokenizer, mean, std, digest, how)


def _identity(
    model: Any, architecture: dict[str, Any], preprocess: dict[str, Any], options: dict[str, Any]
) -> str:
    """A hash of the weights in memory and of everything else that decides the embeddings.

    The file is not read again for it; the same weights with other heads or another mean are
    another teacher.
    """
    rest = [architecture, preprocess, options]
    described = json.dumps(rest, sort_keys=True, default=str)
    weights = tensors_sha256(model.state_dict())
    return hashlib.sha256(f"{weights} {described}".encode()).hexdigest()


def _hub_tokenizer(architecture: dict[str, Any], teacher: str, emit: Emit) -> Any:
    text = architecture["text_cfg"]
    repo = text.get("hf_tokenizer_name")
    if text.get("hf_model_name"):
        return _transformers_tokenizer(text, teacher, emit)
    if not repo:
        return None
    paths = [fetch(file, teacher, emit) for file in tokenizer_files(repo)]
    return _tokenizer(architecture, paths[0], paths[1], teacher)


def _tokenizer(architecture: dict[str, Any], file: Path, settings: Path, teacher: str) -> Any:
    text = architecture["text_cfg"]
    if not text.get("hf_tokenizer_name"):
        return None
    if not file.is_file() or not settings.is_file():
        raise UserError(
            f"The teacher {teacher} needs a tokenizer: {' and '.join(TOKENIZER_FILES)} of "
            f"{text['hf_tokenizer_name']} should lie beside its weights."
        )
    length = int(text.get("context_length", 77))
    return HubTokenizer(file, settings, length, **(text.get("tokenizer_kwargs") or {}))


def _compact_tokenizer(architecture: dict[str, Any], file: Path, teacher: str) -> Any:
    rows = _read(file, teacher).get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, int) for row in rows):
        raise UserError(f"The teacher {teacher} cannot be loaded: {file} holds no list of rows.")
    return CompactTokenizer(rows, int(architecture["text_cfg"].get("context_length", 77)))


def _clip_tokenizer(architecture: dict[str, Any]) -> Any:
    text = architecture["text_cfg"]
    options = text.get("tokenizer_kwargs") or {}
    cleaning = {key: options[key] for key in ("clean",) if key in options}
    return SimpleTokenizer(context_length=int(text.get("context_length", 77)), **cleaning)


def _transformers_tokenizer(text: dict[str, Any], teacher: str, emit: Emit) -> Any:
    """For text towers of the transformers library, which reads both from the hub's cache."""
    tower = str(text["hf_model_name"])
    repo = str(text.get("hf_tokenizer_name") or tower)
    for owner, file in ((tower, "config.json"), (repo, "tokenizer_config.json")):
        described = _read(fetch(HubFile(owner, (file,)), teacher, emit), teacher)
        if "auto_map" in described:
            raise UserError(
                f"The teacher {teacher} is refused: {file} of {owner} names code of its own, "
                "which is not run. Choose another teacher."
            )
    try:
        return HFTokenizer(
            repo,
            context_length=int(text.get("context_length", 77)),
            trust_remote_code=False,
            **(text.get("tokenizer_kwargs") or {}),
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"The tokenizer {repo} of {teacher} cannot be loaded ({first_line(error)})."
        ) from error


def _read(config: Path, teacher: str) -> dict[str, Any]:
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}, not an object")
    except (OSError, ValueError) as error:
        raise UserError(
            f"The teacher {teacher} cannot be loaded: {config} is damaged ({first_line(error)}). "
            "Delete it and try again."
        ) from error
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    root = logging.getLogger()  # OpenCLIP's: it warns that the model has no weights yet
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
