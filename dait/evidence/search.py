"""Finding images by a sentence: a frozen teacher's text tower against embeddings kept of images."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.teachers.base import FrozenTeacher
from dait.teachers.prompt_warnings import Truncation, truncate, unknown_words
from dait.teachers.prompts import LONGEST

_WORDS = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Match:
    """An image by its index, and the cosine of its embedding with the sentence's."""

    index: int
    similarity: float


@dataclass(frozen=True)
class Found:
    """The best matches, best first.

    unknown: words of the query that the teacher does not know and left out; cut: where a sentence
    that is too long for the text tower was cut, None where all of it was read.
    """

    query: str
    matches: tuple[Match, ...]
    unknown: tuple[str, ...]
    cut: Truncation | None


def check_query(text: object) -> str:
    """``text`` with single spaces. Raises ``UserError`` if it is empty, too long or no words."""
    query = " ".join(text.split()) if isinstance(text, str) else ""
    if len(query) > LONGEST:
        raise UserError(
            f"This query has {len(query):,} characters; at most {LONGEST:,} are allowed. A text "
            "tower reads about 77 words and parts of words: describe one bird in one sentence."
        )
    if not _WORDS.search(query):
        found = f"‘{query[:40]}’ has no word in it" if query else "There is nothing to look for yet"
        raise UserError(f"{found}. Describe what you want to see, say “a bird with a red crown”.")
    return query


def search(teacher: FrozenTeacher, embeddings: np.ndarray, text: object, count: int = 12) -> Found:
    """The ``count`` images whose ``(N, d)`` embeddings are nearest to a sentence.

    Embeddings need not have unit length. Raises ``UserError`` for a teacher that reads no text, for
    a query that will not do (see ``check_query``), for one of which the teacher knows no word, and
    where the embeddings are another teacher's.
    """
    query = check_query(text)
    if not teacher.reads_text:
        raise UserError(why_unread(teacher.name))
    if embeddings.shape[1] != teacher.dim:
        raise UserError(
            f"The images were embedded in {embeddings.shape[1]} dimensions and {teacher.name} has "
            f"{teacher.dim}: it has changed since this study was trained. Train the study again."
        )
    unknown = unknown_words(teacher, query)
    if len(unknown) == len(set(_WORDS.findall(query.lower()))):
        raise UserError(f"{not_known(unknown)} {known_words(teacher)}".rstrip())
    sentence = teacher.embed_text([query])[0].float().cpu().numpy()
    lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(sentence)
    cosines = embeddings.astype(np.float32) @ sentence / np.maximum(lengths, 1e-12)
    best = np.argsort(-cosines, kind="stable")[:count]
    matches = tuple(Match(int(index), float(cosines[index])) for index in best)
    return Found(query, matches, unknown, truncate(teacher, query))


def why_unread(teacher: str) -> str:
    """The sentence for a teacher that reads no text."""
    return (
        f"The teacher {teacher} sees images only and reads no words, so it cannot be asked in "
        "words. A study with an OpenCLIP teacher, or with fieldguide-clip, can."
    )


def not_known(words: tuple[str, ...]) -> str:
    """``The teacher does not know the word ‘purple’.``"""
    shown = ", ".join(f"‘{word[:24]}’" for word in words[:6])
    more = f" and {len(words) - 6} more" if len(words) > 6 else ""
    return f"The teacher does not know the {'word' if len(words) == 1 else 'words'} {shown}{more}."


def known_words(teacher: FrozenTeacher) -> str:
    """What a teacher with a small vocabulary does know, as a sentence; empty for any other."""
    if not hasattr(getattr(teacher, "tokenizer", None), "unknown_words"):
        return ""
    world = load_world()
    colours = [name for name in world.palette if not unknown_words(teacher, name)]
    parts = [name for name in world.attributes if not unknown_words(teacher, name)]
    places = [name for name in world.habitats if not unknown_words(teacher, name)]
    return (
        f"It knows birds and the words of their captions: colours ({', '.join(colours)}), parts "
        f"({', '.join(parts)}) and places ({', '.join(places)})."
    )
