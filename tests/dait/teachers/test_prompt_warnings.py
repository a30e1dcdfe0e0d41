"""Texts longer than a tower reads, and classes that a teacher does not tell apart."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from dait.data.base import ClassInfo
from dait.data.fieldguide.dataset import FieldGuide
from dait.errors import UserError
from dait.evaluation.networks import TeacherScores
from dait.teachers.base import FrozenTeacher, text_prototypes
from dait.teachers.prompt_warnings import similar_class_warnings, truncate, truncated_texts
from dait.teachers.prompts import LONGEST, Prompts, class_prompts
from dait.teachers.registry import load_teacher, prototypes_of

WORDS = "a small round fruit with a thin green skin and white flesh, " * 8
CHINESE = "一种小而圆的水果，有薄薄的绿色果皮和白色的果肉，" * 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> FrozenTeacher:
    """A tiny OpenCLIP model of random weights with CLIP's own tokenizer and 77 tokens."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.model.CLIP(**config)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.25] * 3}
    described = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    return load_teacher(f"openclip-local:{folder}")


@pytest.fixture(scope="module")
def demo() -> FrozenTeacher:
    return load_teacher("fieldguide-clip")


def warned(teacher: FrozenTeacher, *classes: ClassInfo) -> tuple[str, ...]:
    full = class_prompts(classes, Prompts())
    vectors = text_prototypes(teacher, full)
    return similar_class_warnings(teacher, full, vectors, teacher.logit_scale)


@pytest.mark.parametrize("text", [WORDS, CHINESE])
def test_a_text_is_cut_where_the_tokenizer_has_made_77_tokens(
    clip: FrozenTeacher, text: str
) -> None:
    found = truncate(clip, text)
    assert found is not None and found.limit == 77 < found.tokens
    assert found.read + found.unread == text and found.unread.strip()
    # What stands after the cut changes nothing (it may fall inside a character of several tokens);
    # the last of what stands before it does.
    whole = clip.embed_text([text, found.read + found.unread[:1], found.read[:-4]])
    torch.testing.assert_close(whole[0], whole[1])
    assert not torch.allclose(whole[0], whole[2])


def test_a_text_that_is_read_to_its_end_is_not_cut(clip: FrozenTeacher) -> None:
    assert truncate(clip, WORDS[:120]) is None and truncate(clip, CHINESE[:20]) is None
    assert truncate(clip, "x" * 75) is None  # many letters, few tokens


@pytest.mark.parametrize("text", [WORDS, CHINESE])
def test_classes_that_differ_after_the_cut_alone_are_named(clip: FrozenTeacher, text: str) -> None:
    classes = [ClassInfo(key, key, None, (text + key,)) for key in ("lime", "kiwi")]
    (found,) = warned(clip, *classes)
    assert "‘lime’ and ‘kiwi’ apart" in found and "after what it reads" in found
    assert len(truncated_texts(clip, classes)) == 2


def test_classes_of_the_same_text_are_named(clip: FrozenTeacher) -> None:
    classes = (ClassInfo("a", "Apple"), ClassInfo("b", "apple"), ClassInfo("c", "pear"))
    (found,) = warned(clip, *classes)
    assert "‘Apple’ and ‘apple’ apart" in found and "are the same" in found


def test_classes_that_differ_in_unknown_words_alone_are_named(demo: FrozenTeacher) -> None:
    classes = (
        ClassInfo("a", "a", None, ("a zebra with a red crown",)),
        ClassInfo("b", "b", None, ("a giraffe with a red crown",)),
        ClassInfo("c", "c", None, ("a bird with a blue crown",)),
    )
    (found,) = warned(demo, *classes)
    assert "‘a’ and ‘b’ apart" in found and "does not know (‘giraffe’ and ‘zebra’)" in found


def test_classes_of_the_same_images_are_named_for_a_teacher_of_images() -> None:
    class Blind:
        name, reads_text = "blind", False

    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 1e-4], [0, 1]]), dim=1)
    classes = tuple(ClassInfo(key, key) for key in "abc")
    (found,) = similar_class_warnings(Blind(), classes, vectors, 16.0)
    assert "‘a’ and ‘b’ apart" in found and "training images" in found


def test_species_that_differ_are_told_apart(demo: FrozenTeacher, birds: FieldGuide) -> None:
    assert prototypes_of(demo, birds).warnings == ()


def test_a_data_set_s_own_texts_have_the_limit_of_all_others() -> None:
    classes = (ClassInfo("kiwi", "kiwi", None, ("x" * (LONGEST + 1),)),)
    with pytest.raises(UserError, match=r"‘kiwi’ has 4,001 characters"):
        class_prompts(classes, Prompts())


def test_a_sentence_to_explain_is_refused_where_it_is_cut(clip: FrozenTeacher) -> None:
    scores = TeacherScores(clip, torch.eye(16)[:2])
    with pytest.raises(UserError, match=r"tokens and the teacher reads 77: up to ‘.*but not ‘"):
        scores.asked(WORDS)
    assert scores.asked("a small fruit").prototypes.shape == (3, 16)
