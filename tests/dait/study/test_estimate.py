"""What a study will cost: the counts behind the estimate, and what cannot be estimated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from dait.cli import main
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.events import Event, Progress
from dait.models.facts import network_facts
from dait.study.estimate import DataCounts, counts_of, estimate

TINY = load_recipe("tiny")


def with_changes(**changes: object) -> Recipe:
    return TINY.changed({key.replace("__", "."): value for key, value in changes.items()})


@pytest.mark.slow
def test_bytes_are_those_of_what_is_trained() -> None:
    said: list[str] = []

    def hear(event: Event) -> None:
        said.append(event.what if isinstance(event, Progress) else str(event))

    found = estimate(TINY, ["independent", "dait"], [0, 1], hear)
    student = network_facts(TINY.student, 6, 48)
    shapes = DataCounts(train=48, val=24, test=36, classes=6)
    answers = 2 * shapes.test * (shapes.classes + student.pooled_width)
    least = 2 * 3 * (4 * student.parameters + answers)  # the intermediate teacher is as large
    # Beside the networks, the projections and the frozen teacher's answers.
    assert least < found.study_bytes < 1.5 * least
    pixels = (shapes.train + shapes.val + shapes.test) * 48 * 48 * 3
    assert found.cache_bytes - pixels == 2 * 2 * shapes.train * 128 * 2  # seeds, epochs, fp16
    assert list(found.arm_seconds) == ["independent", "dait"]
    assert found.teacher_seconds is not None and found.teacher_seconds > 0
    assert found.seconds == pytest.approx(
        2 * sum(found.arm_seconds.values()) + found.teacher_seconds
    )
    assert said == [
        "Measuring the frozen teacher",
        "Measuring Independent student",
        "Measuring DAIT",
    ]


@pytest.mark.slow
def test_nothing_is_downloaded_for_it() -> None:
    recipe = with_changes(
        teacher__name="openclip:ViT-B-32/laion2b_s34b_b79k",
        student={"name": "lcnet_050", "pretrained": True},
        kd__network={"name": "lcnet_050", "pretrained": True},
    )
    found = estimate(recipe, ["kd"], [0])
    assert found.teacher_seconds is None
    assert found.seconds == pytest.approx(found.arm_seconds["kd"])


def test_shapes_are_told_before_an_image_is_read(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    recipe = load_recipe("photos").changed({"data.source": str(tmp_path)})
    shapes = counts_of(recipe)
    assert shapes.classes == 2
    assert shapes.train + shapes.val + shapes.test == 20


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("PATH-OF-YOUR-FOLDER", "needs photographs"),
        ("hf:someone/something", "lies on this machine"),
        ("/nowhere/at-all", "nowhere"),
    ],
)
def test_data_that_is_not_here_is_not_estimated(source: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        counts_of(load_recipe("photos").changed({"data.source": source}))


def test_a_benchmark_that_is_to_be_downloaded_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_DOWNLOADS", str(tmp_path))
    with pytest.raises(UserError, match="cub-200-2011 has to be downloaded first"):
        counts_of(load_recipe("photos").changed({"data.source": "cub-200-2011"}))


@pytest.mark.slow
def test_the_command_line_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["estimate", "tiny", "--arms", "independent", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 48
    assert main(words[:-1]) == 0
    assert "An estimate, from at most" in capsys.readouterr().out
