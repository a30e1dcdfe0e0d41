"""OpenCLIP's tokenizer with only the rows of its vocabulary that a small text tower keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from open_clip import SimpleTokenizer
from torch import Tensor


class CompactTokenizer:
    """Byte-pair tokens of OpenCLIP, renumbered to the ``rows`` kept; others are left out.

    OpenCLIP's 49,408 rows would make a small model's embedding table its largest part. The last
    two rows are start and end of text, so that the end has the highest id, as OpenCLIP's ``argmax``
    pooling expects.

    rows: ids of OpenCLIP's tokenizer that are kept, in order.
    """

    def __init__(self, rows: Sequence[int], context_length: int) -> None:
        self.rows = tuple(rows)
        self.context_length = context_length
        self._row = {token: row for row, token in enumerate(self.rows, start=1)}
        self._full = _openclip_tokenizer()

    @property
    def vocab_size(self) -> int:
        """Padding, the kept rows, start and end of text."""
        return len(self.rows) + 3

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> Tensor:
        """``(n, context_length)`` int64; longer sentences are cut, the end token stays."""
        sentences = [texts] if isinstance(texts, str) else list(texts)
        length = context_length or self.context_length
        start, end = self.vocab_size - 2, self.vocab_size - 1
        result = torch.zeros(len(sentences), length, dtype=torch.long)
        for i, sentence in enumerate(sentences):
            known = [self._row[t] for t in self._full.encode(sentence) if t in self._row]
            ids = [start, *known[: length - 2], end]
            result[i, : len(ids)] = torch.tensor(ids)
        return result

    def count(self, sentence: str) -> int:
        """Tokens of the whole sentence that have a row, start and end among them."""
        return 2 + sum(token in self._row for token in self._full.encode(sentence))

    def unknown_words(self, sentence: str) -> list[str]:
        """The words of ``sentence`` of which some token has no row: they are not understood."""
        words = re.findall(r"[^\W\d_]+|\d+", sentence.lower())
        return [w for w in words if any(t not in self._row for t in self._full.encode(w))]


def rows_in_use(sentences: Iterable[str]) -> list[int]:
    """The ids of OpenCLIP's tokenizer that ``sentences`` use, sorted."""
    full = _openclip_tokenizer()
    return sorted({token for sentence in sentences for token in full.encode(sentence)})


def _openclip_tokenizer() -> Any:
    return SimpleTokenizer()
