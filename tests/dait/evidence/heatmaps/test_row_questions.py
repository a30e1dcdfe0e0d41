"""What a row of networks can be asked: classes, sentences, layers, and by many at once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from dait.api import load_study
from dait.errors import UserError
from dait.evaluation.networks import TeacherScores, shared_teacher
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.cam import METHODS, explain
from dait.evidence.heatmaps.explanation import Explanation
from dait.runs.folder import StudyFolder
from dait.storage.paths import ASSETS

SENTENCE = "a bird with a red crown"


@pytest.fixture(scope="module")
def comparison(tiny_study: Path) -> Comparison:
    return Comparison(StudyFolder(tiny_study))


@pytest.fixture(scope="module")
def image(comparison: Comparison) -> np.ndarray:
    return comparison.test_image(3)[0]


def test_a_sentence_is_looked_for_by_the_teacher_alone(
    comparison: Comparison, image: np.ndarray
) -> None:
    vlm, *others = comparison.explain(image, target=SENTENCE)
    assert vlm.sentence == SENTENCE and vlm.note == ""
    teacher = shared_teacher(comparison.recipe.teacher.name, None)
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    expected = teacher.embed(pixels) @ teacher.embed_text([SENTENCE]).T
    assert vlm.similarity == pytest.approx(float(expected), abs=1e-4)
    assert vlm.target == vlm.top[0][0] == comparison.explain(image)[0].target
    for cell in others:
        assert "knows classes, not words" in cell.note and cell.empty
        assert cell.top and cell.similarity is None and cell.sentence == SENTENCE


def test_a_sentence_that_matches_nothing_is_no_hit() -> None:
    study = load_study(ASSETS / "runs" / "demo")
    assert isinstance(study, Comparison)
    image, label = study.test_image(37)
    own = f"a {study.classes[label].name.lower()}"
    assert not study.explain(image, target=own)[0].barely
    assert study.explain(image, target="a red fire truck")[0].barely
    assert not study.explain(image)[0].barely  # a class was asked, no sentence


def test_a_classs_own_prompt_gives_its_map() -> None:
    class Reader(torch.nn.Module):
        """A teacher whose text embeddings are the columns of its own prototypes."""

        logit_scale, reads_text, image_size, dim = 7.0, True, 16, 4

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.features = torch.nn.Conv2d(3, 4, 4, stride=4)

        def embed_with_gradient(self, images: torch.Tensor) -> torch.Tensor:
            pooled = self.features(images).relu().mean(dim=(2, 3))
            return torch.nn.functional.normalize(pooled, dim=1)

        def embed_text(self, sentences: list[str]) -> torch.Tensor:
            return torch.eye(4)[[int(sentence) for sentence in sentences]]

        def heatmap_layer(self) -> torch.nn.Module:
            return self.features

        def heatmap_grid(self) -> None:
            return None

    scores = TeacherScores(Reader(), torch.eye(4)[:3])  # type: ignore[arg-type]
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    by_class = explain(scores, images, torch.tensor([1, 1]))
    by_words = explain(scores.asked("1"), images, torch.tensor([3, 3]))
    torch.testing.assert_close(by_words.raw, by_class.raw)
    torch.testing.assert_close(by_words.logits[:, :3], by_class.logits)


def test_what_is_a_sentence_and_what_a_slip(comparison: Comparison) -> None:
    info = comparison.classes[1]
    assert comparison.class_or_sentence(info.name) == 1
    assert comparison.class_or_sentence(f" {SENTENCE} ") == SENTENCE
    with pytest.raises(UserError, match="Did you mean"):
        comparison.class_or_sentence(info.name[:-1])
    with pytest.raises(UserError, match=r"There is no class 'zebra'\. Give a key"):
        comparison.class_or_sentence("zebra")


def test_a_layer_is_explained_by_those_who_have_it(
    comparison: Comparison, image: np.ndarray
) -> None:
    cells = {cell.member.key: cell for cell in comparison.explain(image, layer="layer1")}
    assert cells["dait-s0"].note == "" and cells["dait-s0"].raw.shape == (12, 12)
    assert "‘layer1’ is no layer of this VisionTransformer" in cells["vlm"].note
    assert "transformer.resblocks.0.ln_1" in cells["vlm"].note


@pytest.mark.slow
def test_eight_threads_see_what_one_sees(comparison: Comparison, tiny_study: Path) -> None:
    images = [comparison.test_image(index)[0] for index in range(4)]
    questions = [
        (image, method, target, layer)
        for image in images
        for method, target, layer in (
            (None, None, None),
            ("layercam", 2, "layer2"),
            ("finercam", SENTENCE, None),
        )
    ]
    questions += [(images[0], method, 1, None) for method in METHODS]
    expected = [comparison.explain(*question) for question in questions]
    # Another comparison of the study has networks of its own and shares the frozen teacher.
    rows = [comparison, Comparison(StudyFolder(tiny_study))]
    found: dict[tuple[int, int], list[Explanation]] = {}
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for step in range(len(questions)):
                number = (step + 3 * thread) % len(questions)
                found[thread, number] = rows[thread % 2].explain(*questions[number])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(found) == 8 * len(questions)
    for (_, number), row in found.items():
        for cell, known in zip(row, expected[number], strict=True):
            assert (cell.top, cell.target, cell.note) == (known.top, known.target, known.note)
            np.testing.assert_array_equal(cell.raw, known.raw)
