"""Names of files, classes and splits: how they are compared, and which are not data."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from unicodedata import normalize

from dait.data.base import SplitName

_SPELLINGS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "unlabelled": "unlabelled",
    "unlabeled": "unlabelled",
}
_OTHER_WORDS: dict[str, SplitName] = {
    "dev": "val",
    "devel": "val",
    "development": "val",
    "holdout": "test",
    "heldout": "test",
    "nolabel": "unlabelled",
    "nolabels": "unlabelled",
}
_ENDINGS = ("set", "split", "data", "images")  # training_set, test-data

# What operating systems, disk stations and editors leave behind; what begins with a dot is, too.
_LITTER = frozenset(
    {
        "__macosx",
        ".ds_store",
        "icon\r",  # of a folder that has a picture of its own on a Mac
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "@eadir",
        "@tmp",
        "@__thumb",
        "#recycle",
        "#snapshot",
        "lost+found",
        "__pycache__",
    }
)


def nfc(name: str) -> str:
    """The composed form, in which names are compared: a Mac writes é as e and an accent."""
    return name if name.isascii() else normalize("NFC", name)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts ``img2`` before ``img10``, whatever the case; ties by the name itself."""
    parts = re.split(r"([0-9]+)", nfc(name).casefold())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], name


def stable_ids(paths: Sequence[str]) -> list[str]:
    """The paths in composed form; those that would then be alike as they are. All distinct."""
    composed = [nfc(path) for path in paths]
    times = Counter(composed)
    return [name if times[name] == 1 else path for path, name in zip(paths, composed, strict=True)]


def on_disk(path: Path, known: dict[str, dict[str, str]] | None = None) -> Path:
    """The path as the disk writes it: where nothing is there, one that differs by form alone.

    known: keeps the names of folders that were looked through, for many paths in few folders.
    """
    if str(path).isascii() or os.path.lexists(path):
        return path
    known = {} if known is None else known
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        if not os.path.lexists(found / part):
            folder = str(found)
            if folder not in known:
                known[folder] = {nfc(name): name for name in _names(folder)}
            part = known[folder].get(nfc(part), part)
        found /= part
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - of 100,000 names
    except OSError:
        return []


def is_litter(name: str) -> bool:
    """Whether a file or folder is a system's own, or hidden."""
    return name.startswith(".") or name.lower() in _LITTER


def is_left_by_system(name: str) -> bool:
    """Whether a file or folder is surely a system's own: a recycle bin, thumbnails, ``._1.jpg``."""
    return name.startswith("._") or name.lower() in _LITTER


def split_of(word: str) -> SplitName | None:
    """The split that a word means: ``train`` of ``Training`` and ``train_set``; None for others."""
    plain = _plain(word)
    return _SPELLINGS.get(plain) or _OTHER_WORDS.get(plain)


def second_words(words: Iterable[str]) -> dict[str, str]:
    """Words beside a better one for the same split: ``holdout`` beside ``test``, which it names."""
    words = list(words)
    best = {
        _SPELLINGS[_plain(word)]: word for word in reversed(words) if _plain(word) in _SPELLINGS
    }
    meant = {word: _OTHER_WORDS.get(_plain(word)) for word in words}
    return {word: best[split] for word, split in meant.items() if split in best}


def _plain(word: str) -> str:
    plain = re.sub(r"[\s_.-]+", "", nfc(word).casefold())
    for ending in _ENDINGS:
        shorter = plain.removesuffix(ending)
        if shorter in _SPELLINGS or shorter in _OTHER_WORDS:
            return shorter
    return plain


def about_splits(words: Iterable[str]) -> list[str]:
    """A sentence on the words that are read as splits though they are not called so."""
    read = [(word, split_of(word)) for word in words if word != split_of(word)]
    if not read:
        return []
    return ["Read as splits: " + ", ".join(f"‘{word}’ as {split}" for word, split in read) + "."]
