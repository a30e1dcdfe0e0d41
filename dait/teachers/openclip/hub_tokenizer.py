"""Tokenizers other than CLIP's own (SigLIP, CLIPA, ...), from the ``tokenizer.json`` of the hub.

The file is data: the ``tokenizers`` library reads it and runs nothing from it. ``transformers``
would do the same and more: it may ask whether to run a repository's code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from open_clip.tokenizer import get_clean_fn
from torch import Tensor

from dait.errors import UserError


class HubTokenizer:
    """Sentences to ``(n, context_length)`` int64 ids, as OpenCLIP's ``HFTokenizer`` gives them.

    clean: OpenCLIP's name of what is done to a sentence first. strip_sep_token: whether separators
    become zeros (CLIPA was trained so). Raises ``UserError`` for a file that is no tokenizer, and
    without the ``tokenizers`` library.
    """

    def __init__(
        self,
        tokenizer: Path,
        settings: Path,
        context_length: int,
        clean: str = "whitespace",
        strip_sep_token: bool = False,
    ) -> None:
        self.context_length = context_length
        if clean not in ("whitespace", "lower", "canonicalize"):
            raise UserError(f"The tokenizer of {tokenizer.parent.name} asks to clean by ‘{clean}’.")
        self._clean = get_clean_fn(clean)
        try:
            self._full = _library().from_file(str(tokenizer))
            described = json.loads(settings.read_text(encoding="utf-8"))
            pad = _token(described, "pad_token")
            number = self._full.token_to_id(pad)
            separator = _token(described, "sep_token") if strip_sep_token else None
        except UserError:
            raise
        except Exception as error:  # the library raises plain Exceptions
            raise UserError(
                f"The tokenizer {tokenizer} cannot be read ({type(error).__name__}: {error}). "
                "Delete it and fetch the teacher again."
            ) from error
        self._separator = None if separator is None else self._full.token_to_id(separator)
        if number is None:
            raise UserError(f"The tokenizer {tokenizer} does not know its own padding ‘{pad}’.")
        self._whole = _library().from_str(self._full.to_str())
        self._whole.no_truncation()
        self._whole.no_padding()
        side = described.get("padding_side", "right")
        self._full.enable_truncation(max_length=context_length)
        self._full.enable_padding(
            length=context_length, pad_id=number, pad_token=pad, direction=side
        )

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """``(n, context_length)`` int64; longer sentences are cut, the end token stays."""
        sentences = [texts] if isinstance(texts, str) else list(texts)
        found = self._full.encode_batch([self._clean(sentence) for sentence in sentences])
        ids = torch.tensor([line.ids for line in found], dtype=torch.long)
        return ids if self._separator is None else ids.masked_fill(ids == self._separator, 0)

    def count(self, sentence: str) -> int:
        """Tokens of the whole sentence, those that mark its start and end among them."""
        return len(self._whole.encode(self._clean(sentence)).ids)


def _library() -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UserError(
            "This teacher's sentences are read by the tokenizers library: pip install tokenizers"
        ) from error
    return Tokenizer


def _token(described: Mapping[str, Any], name: str) -> str:
    token = described[name]
    return str(token["content"] if isinstance(token, dict) else token)
