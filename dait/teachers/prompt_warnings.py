"""Warnings about prompts: texts that the tower truncates, classes with nearly equal prototypes.

Tokens are counted by the teacher's own tokenizer: a limit in characters would be wrong for most
languages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dait.data.base import ClassInfo
from dait.teachers.base import Reader

ALIKE = 0.1
"""Two prototypes are nearly equal where no image's two zero-shot logits can differ by more: then
their odds differ by at most 11 %.

A difference of logits is at most κ · |a − b|. Measured: the same text embedded in other batches
gives 1e-5; the nearest two of the Field Guide's species, under ``fieldguide-clip``, 9.5; the
nearest two class means of 81 groceries, under ``imagenet-lite0``, 11.8; and the means of two random
halves of one grocery's images at least 5.8.
"""

_AROUND = 40  # characters shown on either side of the truncation
_NAMED = 5  # classes and words named in a sentence


@dataclass(frozen=True)
class Truncation:
    """A sentence of more ``tokens`` than the text tower's ``limit``, both with start and end token.

    read, unread: its two parts.
    """

    tokens: int
    limit: int
    read: str
    unread: str

    def __str__(self) -> str:
        before = f"…{self.read[-_AROUND:]}" if len(self.read) > _AROUND else self.read
        after = f"{self.unread[:_AROUND]}…" if len(self.unread) > _AROUND else self.unread
        return (
            f"it has {self.tokens} tokens and the teacher reads {self.limit}: up to "
            f"‘{before.strip()}’, but not ‘{after.strip()}’"
        )


def truncate(teacher: Reader, sentence: str) -> Truncation | None:
    """Where a teacher's text tower truncates a sentence; None where it reads all of it."""
    tokenizer: Any = getattr(teacher, "tokenizer", None)
    limit = getattr(tokenizer, "context_length", None)
    # No tokenizer makes more tokens than there are bytes, but for a few that mark start and end.
    if limit is None or (sentence.isascii() and len(sentence) + 4 <= limit):
        return None
    tokens = _count(tokenizer, sentence)
    if tokens <= limit:
        return None
    lengths = range(len(sentence) + 1)
    end = bisect_right(lengths, limit, key=lambda n: _count(tokenizer, sentence[:n])) - 1
    return Truncation(tokens, limit, sentence[: max(0, end)], sentence[max(0, end) :])


def truncation_warnings(
    classes: Iterable[ClassInfo], cuts: Iterable[tuple[ClassInfo, Truncation]]
) -> tuple[str, ...]:
    """A warning about the texts that are truncated; empty where none is."""
    truncated = list(cuts)
    if not truncated:
        return ()
    info, first = truncated[0]
    names = list(dict.fromkeys(info.name for info, _ in truncated))
    total = sum(len(info.descriptions) for info in classes)
    return (
        f"{len(truncated):,} of {total:,} class texts are longer than the teacher reads, and the "
        f"rest of them is left out ({_listed(names)}). The first is of ‘{info.name}’: {first}. "
        "Shorten them, or put what tells the classes apart first.",
    )


def truncated_texts(
    teacher: Reader, classes: Iterable[ClassInfo]
) -> list[tuple[ClassInfo, Truncation]]:
    """Every class text that is truncated, with its class."""
    texts = ((info, truncate(teacher, text)) for info in classes for text in info.descriptions)
    return [(info, one) for info, one in texts if one is not None]


def similar_class_warnings(
    teacher: Any, classes: Sequence[ClassInfo], vectors: Tensor, logit_scale: float
) -> tuple[str, ...]:
    """A warning for each group of classes with nearly equal prototypes, with the likely cause.

    classes: with the texts that the prototypes ``vectors`` ``(C, d)`` come from, where the teacher
    reads text.
    """
    return tuple(
        f"The teacher {teacher.name} cannot tell {_listed([info.name for info in group])} apart, "
        f"in any image: {_cause(teacher, group)}."
        for group in ([classes[at] for at in together] for together in _alike(vectors, logit_scale))
    )


def _alike(vectors: Tensor, logit_scale: float) -> list[list[int]]:
    """Groups of at least two classes, each near to the first of its group."""
    groups: dict[int, list[int]] = {}
    taken: set[int] = set()
    exact = vectors.double().cpu()
    for at in range(len(exact)):
        if at in taken:
            continue
        near = logit_scale * (exact[at + 1 :] - exact[at]).norm(dim=1) < ALIKE
        others = [at + 1 + int(other) for other in torch.nonzero(near).flatten()]
        others = [other for other in others if other not in taken]
        if others:
            groups[at] = [at, *others]
            taken.update(others)
    return list(groups.values())


def _cause(teacher: Any, group: Sequence[ClassInfo]) -> str:
    if not teacher.reads_text:
        return (
            "their training images have the same mean embedding. Look for the same images in both "
            "classes"
        )
    texts = [[text.strip().casefold() for text in info.descriptions] for info in group]
    if all(sorted(text) == sorted(texts[0]) for text in texts):
        return "their texts are the same. Give each a text of its own, or join the classes"
    tokens = [_tokens(teacher, info) for info in group]
    if any(one != tokens[0] for one in tokens):
        return "it gives their texts nearly the same embedding. Describe what tells them apart"
    if any(True for info in group if truncated_texts(teacher, [info])):
        return (
            "their texts differ only after what it reads. Shorten them, or put what tells them "
            "apart first"
        )
    words = [set(unknown_words(teacher, " ".join(info.descriptions))) for info in group]
    unknown = sorted(words[0].union(*words[1:]) - words[0].intersection(*words[1:]))
    if unknown:
        return (
            f"their texts differ only in words that it does not know ({_listed(unknown)}). Use "
            "others, or another teacher"
        )
    return "its tokenizer makes the same of their texts. Use other words"


def unknown_words(teacher: Reader, sentence: str) -> tuple[str, ...]:
    """The words of a sentence that a teacher with a small vocabulary leaves out, each once."""
    tokenizer: Any = getattr(teacher, "tokenizer", None)
    if not hasattr(tokenizer, "unknown_words"):
        return ()  # OpenCLIP's own tokenizers have a piece for every byte
    return tuple(dict.fromkeys(tokenizer.unknown_words(sentence)))


def _tokens(teacher: Any, info: ClassInfo) -> set[tuple[int, ...]]:
    tokenizer = getattr(teacher, "tokenizer", None)
    if tokenizer is None:
        return {tuple(text.encode()) for text in info.descriptions}
    return {tuple(row) for row in tokenizer(list(info.descriptions)).tolist()}


def _count(tokenizer: Any, sentence: str) -> int:
    """Tokens of the whole sentence, start and end among them."""
    if hasattr(tokenizer, "count"):
        return int(tokenizer.count(sentence))
    if hasattr(tokenizer, "encode"):  # OpenCLIP's SimpleTokenizer
        return len(tokenizer.encode(sentence)) + 2
    return len(tokenizer.tokenizer.encode(tokenizer.clean_fn(sentence)))  # its HFTokenizer


def _listed(names: Sequence[str]) -> str:
    shown = [
        f"‘{name if len(name) <= _AROUND else name[: _AROUND - 1] + '…'}’"
        for name in names[:_NAMED]
    ]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
