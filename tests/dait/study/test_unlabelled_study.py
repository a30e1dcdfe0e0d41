"""Studies on data of which few images have a label."""

from __future__ import annotations

from pathlib import Path

import pytest

from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.data.pool import pool_size
from dait.events import Event, Note, StageStarted, ignore
from dait.runs.folder import RunFolder
from dait.study.context import StudyContext, prepare, teacher_views
from dait.study.estimate import counts_of
from dait.study.run import run_arm
from dait.study.stage import stage_plan
from dait.teachers.cache.views import POOL


@pytest.fixture(scope="module")
def recipe(small_recipe: Recipe) -> Recipe:
    return small_recipe.changed({"data.labelled_per_class": 2})


@pytest.fixture(scope="module")
def told() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def context(recipe: Recipe, told: list[Event]) -> StudyContext:
    return prepare(recipe, told.append)


def test_it_says_how_many_images_keep_their_labels(
    context: StudyContext, told: list[Event]
) -> None:
    assert pool_size(context.data) == 24 and len(context.data.split("train")) == 12
    notes = [event.text for event in told if isinstance(event, Note)]
    assert "reading the unlabelled split" in notes
    assert any(line.startswith("12 of 24 training images keep their labels") for line in notes)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_every_stage_of_every_arm_takes_as_many_steps(
    context: StudyContext, tmp_path: Path, arm: Arm
) -> None:
    events = list[Event]()
    run_arm(context, arm, 0, RunFolder(tmp_path / arm), events.append)
    steps = [event.steps for event in events if isinstance(event, StageStarted)]
    planned = [stage.steps for stage in stage_plan(context.recipe, arm, pool_size(context.data))]
    assert steps == planned and set(steps) == {6}


def test_the_cost_is_counted_with_unlabelled_images(recipe: Recipe) -> None:
    counts = counts_of(recipe)
    assert (counts.train, counts.unlabelled, counts.pool) == (12, 12, 24)


def test_one_set_of_embeddings_serves_all_arms(context: StudyContext) -> None:
    views = teacher_views(context.recipe, context.data, context.teacher, 0, ignore)
    facts = views.kept().description
    assert (facts.split, facts.images) == (POOL, 24)


def test_a_study_from_before_does_not_read_unlabelled_images(recipe: Recipe) -> None:
    data = recipe.data.model_dump() | {"source": "./photos"}
    assert parse_recipe({"data": data}, "now").data.use_unlabelled
    for name in ("use_unlabelled", "labelled_per_class"):
        del data[name]
    assert not parse_recipe({"data": data}, "before").data.use_unlabelled
    assert parse_recipe({"data": {"source": "./photos"}}, "new").data.use_unlabelled
