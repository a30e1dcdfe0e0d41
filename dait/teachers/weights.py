"""The files of a teacher: which they are, whether they are here, and their download.

Only tensors are read: safetensors where there are some, else pickles with ``weights_only=True``.
The app's page asks here which teachers it has, so torch and the model libraries are imported where
they are needed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from dait.data.benchmarks.fetch import CannotFetch
from dait.data.benchmarks.fetch import fetch as fetch_url
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.models.packages import PACKAGED_TEACHERS
from dait.storage.paths import ASSETS, absolute
from dait.teachers.hub import HubFile, cached, fetch, repo_folder

CONFIG = "open_clip_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
VOCABULARY = "vocabulary.json"
"""Beside the weights of a model that was trained here: which rows of CLIP's vocabulary it has."""
BUNDLED = {name: ASSETS / name for name in ("fieldguide-clip", "fieldguide-clip-generalist")}
"""The OpenCLIP models that come with the project: a specialist, which reads every attribute of a
bird, and a generalist, which has mostly seen captions of the web's kind."""
HUB_MARK = "hf-hub:"
_OPENCLIP_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_SAFE = {
    "open_clip_pytorch_model.bin": "open_clip_model.safetensors",
    "pytorch_model.bin": "model.safetensors",  # timm's; OpenCLIP keeps the stem
}


def openclip_file(model_name: str, tag: str) -> HubFile:
    """The weights of one of OpenCLIP's pretrained tags.

    Raises ``UserError`` for a tag that OpenCLIP has only as a file from elsewhere: those are
    pickles or TorchScript, which are code.
    """
    import open_clip

    described = open_clip.get_pretrained_cfg(model_name, tag)
    repo, _, name = str(described.get("hf_hub", "")).rpartition("/")
    if not repo:
        tags = open_clip.list_pretrained_tags_by_model(model_name)
        safe = [t for t in tags if open_clip.get_pretrained_cfg(model_name, t).get("hf_hub")]
        raise UserError(
            f"OpenCLIP has the weights {tag} of {model_name} only as a pickle or TorchScript file "
            f"({described.get('url') or described.get('file')}). Such a file can run code when it "
            f"is loaded, so it is refused. Safe tags of {model_name}: {', '.join(safe) or 'none'}."
        )
    if not name:
        return HubFile(repo, _OPENCLIP_NAMES)
    return HubFile(repo, tuple(dict.fromkeys((str(Path(name).with_suffix(".safetensors")), name))))


def hub_model(rest: str) -> tuple[HubFile, HubFile]:
    """Configuration and weights of ``owner/name`` or ``owner/name@version`` on the hub."""
    repo, _, revision = rest.partition("@")
    revision = revision or "main"
    return HubFile(repo, (CONFIG,), revision), HubFile(repo, _OPENCLIP_NAMES, revision)


def tokenizer_files(repo: str) -> tuple[HubFile, ...]:
    """What ``HubTokenizer`` reads of a repository."""
    return tuple(HubFile(repo, (name,)) for name in TOKENIZER_FILES)


def timm_file(architecture: str) -> HubFile | str | None:
    """The weights of a timm network: on the hub, else an address (19 of 1,826), or None."""
    import timm

    config = timm.get_pretrained_cfg(architecture)
    if config is None or not timm.models.is_model_pretrained(architecture):
        return None
    if not config.hf_hub_id:
        return str(config.url) if config.url else None
    repo, _, revision = config.hf_hub_id.partition("@")
    name = config.hf_hub_filename or "pytorch_model.bin"
    safe = _SAFE.get(name, str(Path(name).with_suffix(".safetensors")))
    return HubFile(repo, tuple(dict.fromkeys((safe, name))), revision or "main")


def files_of(name: str) -> tuple[HubFile | str, ...]:
    """What the teacher called ``name`` needs from the network, as far as is known before.

    Empty for a teacher on this disk. Raises ``UserError`` for one of OpenCLIP's or timm's that is
    not available safely, or at all.
    """
    kind, _, rest = name.partition(":")
    if kind == "timm":
        found = timm_file(rest)
        if found is None:
            raise UserError(f"timm has no pretrained weights for {rest}; choose another.")
        return (found,)
    if kind != "openclip":
        return ()
    if rest.startswith(HUB_MARK):
        config, weights = hub_model(rest[len(HUB_MARK) :])
        return (config, *_tokenizer_of(_architecture_in(cached(config))), weights)
    import open_clip

    model_name, _, tag = rest.rpartition("/")
    described = open_clip.get_model_config(model_name)
    return (*_tokenizer_of(described), openclip_file(model_name, tag))


def fetch_weights(name: str, emit: Emit = ignore) -> list[Path]:
    """Downloads what the teacher needs and is not here; returns where everything lies.

    Raises ``UserError`` with what to do. Whether they fit together is checked at loading.
    """
    paths = []
    wanted = files_of(name)
    if wanted and isinstance(wanted[0], HubFile) and wanted[0].names == (CONFIG,):
        fetch(wanted[0], name, emit)  # it names the other files
        wanted = files_of(name)
    for file in wanted:
        size = None
        if isinstance(file, str):
            paths.append(fetch_from_address(file, name, emit))
            continue
        if file.names[0].endswith(".safetensors"):
            size = estimated_bytes(name)
        paths.append(fetch(file, name, emit, size))
    return paths


def fetch_from_address(url: str, teacher: str, emit: Emit = ignore) -> Path:
    """A file of timm's that is not on the hub, into the folder where torch keeps such."""
    to = address_path(url)
    try:
        return fetch_url(url, to, emit=emit)
    except CannotFetch as error:
        raise UserError(
            f"The weights of {teacher} are not on this machine ({url}, size unknown), and could "
            f"not be downloaded: {error.reason}. Where there is a connection, run `python -m dait "
            f"teacher fetch {teacher}`; if that is another machine, copy {to.name} from its "
            f"~/.cache/torch/hub/checkpoints into {to.parent} here."
        ) from error


def address_path(url: str) -> Path:
    """Where torch keeps a file from ``url``."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def is_here(name: str) -> bool:
    """Whether the teacher can be loaded without the network, as far as files tell."""
    kind, _, rest = name.partition(":")
    if kind == "openclip-local":
        return (absolute(rest) / CONFIG).is_file()
    if name in PACKAGED_TEACHERS:
        return PACKAGED_TEACHERS[name].version() is not None
    if kind not in ("openclip", "timm"):
        return True
    try:
        files = files_of(name)
    except UserError:  # refused or unknown: loading it says why
        return False
    return all(
        address_path(f).is_file() if isinstance(f, str) else cached(f) is not None for f in files
    )


def stamp(name: str) -> str | None:
    """Identify a teacher's weights by the names, sizes and times of their files alone.

    A figure measured with other weights must not be shown for these; reading gigabytes to list
    them must not happen either. None where the files are not here.
    """
    kind, _, rest = name.partition(":")
    if name in PACKAGED_TEACHERS:
        found = PACKAGED_TEACHERS[name].version()
        return found and f"{name} {found}"
    if name in BUNDLED:
        return _folder_stamp(BUNDLED[name])
    if kind == "openclip-local":
        return _folder_stamp(absolute(rest))
    if not is_here(name):
        return None
    return "; ".join(_file_stamp(file) for file in files_of(name))


def sources_of(name: str) -> list[str]:
    """Which files a teacher was loaded from: ``owner/name/file at COMMIT``, an address, or none.

    None for a bundled teacher, or one in a folder: its weights' hash says which it is.
    """
    return [_source(file) for file in files_of(name)]


def source_of_network(architecture: str) -> str:
    """The same of timm's pretrained weights of a network; empty where they are not here."""
    file = timm_file(architecture)
    return "" if file is None else _source(file)


def _source(file: HubFile | str) -> str:
    if isinstance(file, str):
        return file
    path = cached(file)
    if path is None:
        return f"{file.repo} (not in the hub's cache)"
    commit, *inside = path.relative_to(repo_folder(file.repo) / "snapshots").parts
    return f"{file.repo}/{'/'.join(inside)} at {commit}"


def estimated_bytes(name: str) -> int | None:
    """How large an OpenCLIP model's weights are, from its parameters (four bytes each)."""
    kind, _, rest = name.partition(":")
    count = parameters_of(rest.rpartition("/")[0]) if kind == "openclip" else None
    return None if count is None else 4 * count


def parameters_of(model_name: str) -> int | None:
    """The parameters of one of OpenCLIP's architectures, None where we do not know."""
    return _parameters().get(model_name)


@cache
def _parameters() -> dict[str, int]:
    file = Path(__file__).with_name("openclip_parameters.json")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _tokenizer_of(architecture: Any) -> tuple[HubFile, ...]:
    text = (architecture or {}).get("text_cfg") or {}
    repo = text.get("hf_tokenizer_name")
    return tokenizer_files(repo) if repo and not text.get("hf_model_name") else ()


def _architecture_in(config: Path | None) -> Any:
    if config is None:
        return None
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # said in a sentence when it is loaded
    return found.get("model_cfg") if isinstance(found, dict) else None


def _file_stamp(file: HubFile | str) -> str:
    path = address_path(file) if isinstance(file, str) else cached(file)
    if path is None:
        return f"{file} is not here"
    real = path.resolve()
    inside = repo_folder(file.repo) if isinstance(file, HubFile) else real.parent
    return f"{inside.name}/{real.name} {real.stat().st_size}"


def _folder_stamp(folder: Path) -> str | None:
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    if not files:
        return None
    stamps = [f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files]
    return "; ".join([str(folder), *stamps])
