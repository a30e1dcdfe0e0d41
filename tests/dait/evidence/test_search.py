"""Images found by a sentence, and what is said of sentences that will not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dait.errors import UserError
from dait.evidence.search import check_query, search
from dait.teachers.openclip.compact_tokenizer import CompactTokenizer
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.registry import load_teacher
from pretraining.teacher import vocabulary_rows

QUERY = "a bird with a red crown"


@pytest.fixture(scope="module")
def teacher(clip_folder: Path) -> Any:
    return load_teacher(f"openclip-local:{clip_folder}")


@pytest.fixture(scope="module")
def small() -> OpenClipTeacher:
    """A teacher with the demo teacher's vocabulary, and random weights."""
    import open_clip

    tokenizer = CompactTokenizer(vocabulary_rows(), 24)
    text = {"context_length": 24, "vocab_size": tokenizer.vocab_size, "width": 8, "heads": 1}
    vision = {"image_size": 32, "patch_size": 16, "layers": 1, "width": 16, "head_width": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(embed_dim=12, vision_cfg=vision, text_cfg=text | {"layers": 1})
    return OpenClipTeacher("small", model.eval(), tokenizer, (0.5,) * 3, (0.25,) * 3)


def images(teacher: Any, count: int = 30) -> np.ndarray:
    """Embeddings of which number 7 is the query's own, and number 3 nearly."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, teacher.dim)).astype(np.float32)
    own = teacher.embed_text([QUERY])[0].numpy()
    rows[7], rows[3] = 5 * own, own + 0.01 * rows[3]
    return rows


def test_the_nearest_come_first_whatever_their_length(teacher: Any) -> None:
    found = search(teacher, images(teacher), f"  {QUERY}\n", count=5)
    assert [match.index for match in found.matches[:2]] == [7, 3]
    similarities = [match.similarity for match in found.matches]
    assert similarities == sorted(similarities, reverse=True) and len(similarities) == 5
    assert found.matches[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert (found.query, found.unknown, found.cut) == (QUERY, (), None)


def test_there_may_be_fewer_images_than_asked_for(teacher: Any) -> None:
    assert len(search(teacher, images(teacher, 9), QUERY).matches) == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing to look for"),
        (" \n\t ", "nothing to look for"),
        (None, "nothing to look for"),
        (["a bird"], "nothing to look for"),
        ("?!…", "has no word in it"),
        ("🐦", "has no word in it"),
        ("red " * 2500, "9,999 characters; at most 4,000"),
    ],
)
def test_what_is_no_query(teacher: Any, text: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_query(text)
    with pytest.raises(UserError, match=says):
        search(teacher, images(teacher), text)


@pytest.mark.parametrize("text", ["птица с красной короной", "赤い冠の鳥", "x\u0000y <b>bird</b>"])
def test_other_scripts_are_read_by_a_full_vocabulary(teacher: Any, text: str) -> None:
    found = search(teacher, images(teacher), text)
    assert len(found.matches) == 12 and found.unknown == ()


def test_words_outside_a_small_vocabulary_are_named_and_left_out(small: Any) -> None:
    rows = images(small)
    found = search(small, rows, "a Purple bird with a purple, red crown")
    assert found.unknown == ("purple",)
    assert found.matches == search(small, rows, "a bird with a , red crown").matches


@pytest.mark.parametrize("text", ["purple zebras", "птица с красной короной", "赤い冠の鳥"])
def test_a_query_of_unknown_words_alone_is_refused_and_helped(small: Any, text: str) -> None:
    with pytest.raises(UserError, match=r"does not know the words? ‘.*colours \(black, white"):
        search(small, images(small), text)


def test_a_sentence_whose_end_is_not_read_is_marked(small: Any) -> None:
    rows = images(small)
    longer = "a bird with a red crown, " + ", ".join(["a yellow belly"] * 9)
    assert search(small, rows, longer).cut
    assert not search(small, rows, "a bird with a red crown and a yellow belly").cut


def test_embeddings_of_another_teacher_are_refused(teacher: Any) -> None:
    with pytest.raises(UserError, match=r"5 dimensions and .* has 12"):
        search(teacher, np.ones((4, 5), np.float32), QUERY)


def test_a_teacher_that_reads_nothing_says_why() -> None:
    class Blind:
        name, reads_text, dim = "blind", False, 4

    with pytest.raises(UserError, match="blind sees images only"):
        search(Blind(), np.ones((4, 4), np.float32), QUERY)  # type: ignore[arg-type]
