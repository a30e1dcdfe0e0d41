"""The button that measures a frozen teacher: what it says, keeps and refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.catalogue.teacher_figures import recipe_html
from app.config import SPACE_LIMITS, AppConfig
from app.train.form import AS_IN_RECIPE, FormValues
from app.train.teacher_box import TeacherMeasurements, measured_html
from dait.errors import UserError

VALUES = FormValues(
    recipe="tiny",
    data=AS_IN_RECIPE,
    arms=[],
    seed_count=None,
    first_seed=None,
    epochs=None,
    student=AS_IN_RECIPE,
    intermediate=AS_IN_RECIPE,
)


def test_it_is_measured_on_validation_images_and_kept(
    empty_config: AppConfig, own_cache: object
) -> None:
    measurements = TeacherMeasurements(empty_config)
    recipe = measurements.recipe(VALUES)
    assert "not measured yet" in recipe_html(empty_config, recipe)
    job = measurements.jobs.start(*measurements.task(VALUES))
    assert job.wait(200) and job.result is not None, job.error
    found = job.result
    text = measured_html(found)
    assert f"{found.figures['n_test']:,} validation images" in text and "by chance" in text
    assert f"{100 * found.figures['top1']:.1f}" in recipe_html(empty_config, recipe)


def test_only_offered_teachers_are_measured_for_strangers(empty_config: AppConfig) -> None:
    config = replace(empty_config, limits=SPACE_LIMITS)
    with pytest.raises(UserError):
        TeacherMeasurements(config).task(replace(VALUES, teacher="openclip:ViT-L-14/openai"))
    with pytest.raises(UserError, match="Choose a recipe"):
        TeacherMeasurements(config).task(replace(VALUES, recipe="no such"))
