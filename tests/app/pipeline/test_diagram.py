"""The pipeline's diagram: what a recipe says and runs measured, and nothing that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import AppConfig
from app.pipeline.diagram import Pipeline, Shape, pipeline_html, roles_of
from app.pipeline.facts import pipeline_of_order, pipeline_of_study
from app.pipeline.stages import stages_of
from app.studies.order import Order
from app.train.form import FormValues
from app.train.pipeline_box import drawn
from app.ui.wording import count
from dait.arms.catalogue import plan_of
from dait.config.arms import ARMS
from dait.config.recipe import load_recipe, recipe_names
from dait.errors import UserError
from dait.evidence.palette import arm_colour
from dait.models.facts import network_facts
from dait.runs.folder import StudyFolder

TINY = load_recipe("tiny")
EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("arm", ARMS)
def test_it_shows_the_stages_that_are_trained(arm: str) -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        shown = [(stage.learner, stage.epochs) for stage in stages_of(recipe, arm)]  # type: ignore[arg-type]
        planned = plan_of(arm).stages(recipe)  # type: ignore[arg-type]
        assert shown == [(stage.role, stage.epochs) for stage in planned]


def test_a_loss_that_weighs_nothing_is_not_shown() -> None:
    before = stages_of(TINY, "dait")[1].losses
    assert [name.split(",")[0] for name, _ in before] == ["labels", "feature maps"]
    recipe = TINY.changed({"dait.spatial_weight": 0, "dait.pooled_weight": 2.5})
    assert stages_of(recipe, "dait")[1].losses[1:] == (("pooled vectors, cosine", "2.5"),)
    assert len(stages_of(TINY.changed({"direct.logit_weight": 0}), "direct")[0].losses) == 2


def test_the_ablations_of_dait_are_told() -> None:
    joint = stages_of(TINY.changed({"dait.teacher": "joint"}), "dait")
    assert [stage.learner for stage in joint] == ["intermediate", "student"]
    assert all("at once" in stage.note for stage in joint)
    (random,) = stages_of(TINY.changed({"dait.teacher": "random"}), "dait")
    assert random.teacher == "intermediate" and "never learns" in random.note


def test_the_roles_are_those_of_the_arms() -> None:
    assert roles_of(TINY, ["independent", "direct"]) == ["student"]
    assert roles_of(TINY, ARMS) == ["student", "intermediate", "classifier", "assistant"]


def test_a_studys_sizes_are_those_that_were_measured(tiny_study: Path) -> None:
    study = StudyFolder(tiny_study)
    result = study.run("dait", 0).result() or {}
    page = pipeline_html(pipeline_of_study(study))
    assert f"{count(result['parameters'])} parameters" in page
    assert f"map {' × '.join(map(str, result['map']))}" in page
    assert "class texts 4 × 16" in page and "3 × 48 × 48, 4 classes" in page
    assert page.count('class="ds-pipe"') == 3
    for arm in ("independent", "direct", "dait", "vlm", "intermediate"):
        assert f"--arm: {arm_colour(arm)}" in page


def test_a_study_that_has_not_finished_is_drawn_too(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "new")
    study.create({"name": "tiny", "recipe": TINY.model_dump(), "arms": ["kd"], "runs": []})
    page = pipeline_html(pipeline_of_study(study))
    assert "Teaching classifier learns" in page and "parameters" not in page


def test_a_damaged_study_is_said(tmp_path: Path, tiny_study: Path) -> None:
    study = StudyFolder(tmp_path / "bad")
    study.create({"name": "tiny", "recipe": {"data": 3}, "arms": ["kd"], "runs": []})
    with pytest.raises(UserError, match="cannot be used"):
        pipeline_of_study(study)
    study.write_description({**StudyFolder(tiny_study).description(), "runs": []})
    (study.path / "teacher.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="damaged"):
        pipeline_of_study(study)


def test_a_forms_networks_are_measured() -> None:
    pipeline = pipeline_of_order(Order(TINY, ("dait", "takd"), (0,)))
    facts = network_facts(TINY.student, 6, 48)
    assert pipeline.networks["student"] == Shape(
        facts.name, facts.parameters, facts.map, facts.pooled_width
    )
    assistant = pipeline.networks["assistant"].parameters
    assert assistant is not None and assistant > facts.parameters


def test_the_classes_of_data_that_nobody_has_read_are_assumed(tmp_path: Path) -> None:
    recipe = load_recipe("photos").changed({"data.source": str(tmp_path / "fruit")})
    order = Order(recipe, ("independent",), (0,))
    page = pipeline_html(pipeline_of_order(order, paths=False))
    assert "has not been read yet" in page and "fruit: 3 × 128" in page
    assert str(tmp_path) not in page and str(tmp_path) in pipeline_html(pipeline_of_order(order))


def test_a_form_that_will_not_do_is_said(empty_config: AppConfig) -> None:
    assert "Epochs: give a whole number" in drawn(
        empty_config, FormValues("tiny", "", ["dait"], 1, 0, 0, "", "")
    )


def test_names_from_outside_stay_text() -> None:
    recipe = TINY.changed({"data.source": EVIL})
    page = pipeline_html(Pipeline(recipe, ["direct"], {"student": Shape(EVIL)}, EVIL))
    assert page.count("&lt;img") == 3 and "<img" not in page
