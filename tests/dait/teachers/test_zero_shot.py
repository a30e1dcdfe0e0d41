"""The preview of prompts: right figures, of the validation split, and cheap to repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from dait.data.base import Split, SplitName
from dait.data.fieldguide import FieldGuide
from dait.errors import UserError
from dait.teachers.embedding import embed_split
from dait.teachers.prompts import Prompts
from dait.teachers.registry import load_teacher, prototypes_of
from dait.teachers.zero_shot import ZeroShot


@pytest.fixture
def teacher(clip_folder: Path) -> Any:
    return load_teacher(f"openclip-local:{clip_folder}")


@pytest.mark.parametrize("prompts", [Prompts(), Prompts(("a bird called {}",))])
def test_the_score_is_that_of_the_prototypes(
    teacher: Any, birds: FieldGuide, prompts: Prompts
) -> None:
    found = ZeroShot(teacher, birds).score(prompts)
    split = birds.split("val")
    prototypes = prototypes_of(teacher, birds, prompts).vectors
    answers = (embed_split(teacher, split.images) @ prototypes.T).argmax(dim=1).numpy()
    assert found.top1 == pytest.approx(float((answers == split.labels).mean()))
    assert found.images == len(split)
    for label, (right, other) in enumerate(zip(found.per_class, found.taken_for, strict=True)):
        own = answers[split.labels == label]
        assert right == pytest.approx(float((own == label).mean()))
        wrong = np.bincount(own[own != label], minlength=len(birds.classes))
        assert other == (wrong.argmax() if wrong.any() else -1)


class _TestSplitIsLocked:
    """A data set whose test split must not be asked for."""

    def __init__(self, data: FieldGuide) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def split(self, name: SplitName) -> Split:
        assert name != "test", "the preview looked at the test split"
        return self._data.split(name)


def test_the_test_split_is_never_looked_at(teacher: Any, birds: FieldGuide) -> None:
    ZeroShot(teacher, _TestSplitIsLocked(birds)).score(Prompts())


def counted(teacher: Any, name: str, counts: list[int]) -> Callable[..., Tensor]:
    work: Callable[..., Tensor] = getattr(teacher, name)

    def counting(batch: Any) -> Tensor:
        counts.append(len(batch))
        return work(batch)

    return counting


def test_an_edit_costs_its_own_sentences_alone(
    teacher: Any, birds: FieldGuide, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero_shot = ZeroShot(teacher, birds)
    read: list[int] = []
    seen: list[int] = []
    monkeypatch.setattr(teacher, "embed_text", counted(teacher, "embed_text", read))
    monkeypatch.setattr(teacher, "embed", counted(teacher, "embed", seen))
    first = zero_shot.score(Prompts(("a {}", "one {}")))
    assert sum(read) == first.sentences
    read.clear()
    zero_shot.score(Prompts(("a {}", "two {}")))
    assert sum(read) == len(birds.classes)
    ZeroShot(teacher, birds)
    assert seen == []  # another visit finds the images' embeddings in the cache


def test_prompts_that_are_cut_or_say_the_same_are_warned_of(
    teacher: Any, birds: FieldGuide
) -> None:
    zero_shot = ZeroShot(teacher, birds)
    one, two, *_ = keys = [info.key for info in birds.classes]
    plain: dict[str, tuple[str, ...]] = {key: (f"{key} number {n}",) for n, key in enumerate(keys)}
    long = {key: ("a bird with a long red tail " * 9 + key,) for key in (one, two)}
    cuts, alike = zero_shot.score(Prompts((), plain | long)).warnings
    assert "2 of 6 class texts" in cuts and "the teacher reads 40" in cuts
    assert "apart" in alike and all(info.name in alike for info in birds.classes[:2])
    assert zero_shot.score(Prompts((), plain)).warnings == ()


def test_a_teacher_that_reads_nothing_says_why(birds: FieldGuide) -> None:
    class Blind:
        name, reads_text = "blind", False

    with pytest.raises(UserError, match=r"blind sees images only.*no prompts"):
        ZeroShot(Blind(), birds)  # type: ignore[arg-type]
