"""What every arm trains, in which order, from which networks, and how it names itself."""

from __future__ import annotations

import pytest
import torch

from dait.arms.catalogue import PLANS, plan_of
from dait.arms.plan import ROLE_SEEDS, ROLE_TITLES, TaskContext
from dait.arms.takd import default_assistant
from dait.config.arms import ARM_TITLES, ARMS, SUMMARIES, Arm, arm_title
from dait.config.recipe import Recipe
from dait.evidence.palette import ARM_COLOURS, OTHER_COLOUR, arm_colour
from dait.models.cost import count_parameters
from dait.models.network import Network, NetworkSpec, build_network
from dait.tasks.base import Role, Task, TaughtTask
from dait.tasks.joint import JointTask

CLASSES = 4


@pytest.fixture
def recipe(small_recipe: Recipe) -> Recipe:
    return small_recipe


def fresh(role: Role, spec: NetworkSpec) -> Network:
    torch.manual_seed(ROLE_SEEDS[role] % 1000)
    return build_network(spec, CLASSES, 32)


def last_task(recipe: Recipe, arm: Arm) -> Task:
    """The student's task, its teacher being a new network."""
    plan = plan_of(arm)
    *before, last = plan.stages(recipe)
    trained = {stage.role: fresh(stage.role, stage.network) for stage in before}
    context = TaskContext(recipe, torch.eye(CLASSES, 8), 10.0, trained, fresh)
    return plan.task(last.role, fresh(last.role, last.network), context)


def roles(recipe: Recipe, arm: Arm) -> list[tuple[Role, int]]:
    return [(stage.role, stage.epochs) for stage in plan_of(arm).stages(recipe)]


def test_every_arm_has_a_plan_a_title_and_half_a_sentence() -> None:
    assert tuple(PLANS) == ARMS
    for name, plan in PLANS.items():
        assert plan.name == name and name in ARM_TITLES
    assert tuple(SUMMARIES) == ARMS
    assert len(set(SUMMARIES.values())) == len(ARMS)
    for text in SUMMARIES.values():
        assert text[0].islower() and text[-1] != "." and len(text) < 100


def test_every_arm_ends_with_the_same_student(recipe: Recipe) -> None:
    for plan in PLANS.values():
        *before, last = plan.stages(recipe)
        assert (last.role, last.network, last.epochs) == ("student", recipe.student, 2)
        assert all(stage.role != "student" for stage in before)


def test_the_stages_and_their_lengths(recipe: Recipe) -> None:
    longer = recipe.changed(
        {"kd.classifier_epochs": 5, "takd.assistant_epochs": 6, "dait.stage1_epochs": 7}
    )
    expected = {"kd": ("classifier", 5), "takd": ("assistant", 6), "dait": ("intermediate", 7)}
    for arm in ARMS:
        own = [expected[arm]] if arm in expected else []
        assert roles(longer, arm) == [*own, ("student", 2)]
        assert [epochs for _, epochs in roles(recipe, arm)] == [2] * (len(own) + 1)


def test_every_role_has_a_title_a_seed_and_a_look() -> None:
    assert ROLE_TITLES.keys() == ROLE_SEEDS.keys()
    assert len(set(ROLE_SEEDS.values())) == len(ROLE_SEEDS) and ROLE_SEEDS["student"] == 0
    for role in ROLE_TITLES.keys() - {"student"}:
        assert arm_title(role) != role and arm_colour(role) != OTHER_COLOUR
    assert arm_colour("classifier") == ARM_COLOURS["kd"]
    assert arm_colour("assistant") == ARM_COLOURS["takd"]


def test_the_classifier_is_the_intermediate_teachers_network_or_the_one_named(
    recipe: Recipe,
) -> None:
    assert plan_of("kd").stages(recipe)[0].network == recipe.intermediate
    named = recipe.changed({"kd.network": {"name": "resnet18"}})
    assert plan_of("kd").stages(named)[0].network.name == "resnet18"


def test_the_assistant_is_larger_than_the_student_where_none_is_named(recipe: Recipe) -> None:
    assistant = plan_of("takd").stages(recipe)[0].network
    assert assistant.options == {"channels": [16, 16, 16, 16], "stem_width": 16}
    assert assistant.output_stride == recipe.student.output_stride == 8
    sizes = [count_parameters(build_network(s, CLASSES, 32)) for s in (assistant, recipe.student)]
    assert sizes[0] > 2 * sizes[1]
    student = {"name": "mobilenetv2_050", "pretrained": True, "output_stride": 16}
    unnamed = default_assistant(recipe.changed({"student": student}))
    assert (unnamed.name, unnamed.pretrained, unnamed.output_stride) == ("resnet34", True, 16)
    named = recipe.changed({"takd.network": {"name": "resnet18"}})
    assert plan_of("takd").stages(named)[0].network.name == "resnet18"


def test_the_assistant_is_the_intermediate_teacher_where_that_is_larger(recipe: Recipe) -> None:
    wider = {"name": "resnet10t", "options": {"channels": [16, 16, 24, 24], "stem_width": 8}}
    larger = recipe.changed({"intermediate": {**wider, "weights": "backbone:half-1"}})
    for arm in ("takd", "kd", "dait"):
        assert plan_of(arm).stages(larger)[0].network == larger.intermediate
    smaller = recipe.changed({"intermediate": recipe.student.model_dump(), "student": wider})
    assert plan_of("takd").stages(smaller)[0].network != smaller.intermediate
    unknown = recipe.changed({"intermediate": {"name": "mobilenetv3_small_100"}})
    refused = unknown.changed({"intermediate.output_stride": 16})  # it cannot be dilated
    assert default_assistant(unknown) == unknown.intermediate
    assert default_assistant(refused) != refused.intermediate


def assistants_notes(recipe: Recipe) -> tuple[str, ...]:
    plan, context = plan_of("takd"), TaskContext(recipe, torch.eye(CLASSES, 8), 10.0, {}, fresh)
    stage = plan.stages(recipe)[0]
    return plan.task("assistant", fresh("assistant", stage.network), context).notes


def test_an_assistant_that_is_not_larger_is_said(recipe: Recipe) -> None:
    assert assistants_notes(recipe) == ()
    same = recipe.changed({"takd.network": recipe.student.model_dump()})
    (sentence,) = assistants_notes(same)
    size = count_parameters(build_network(recipe.student, CLASSES, 32))
    assert f"{size:,} parameters" in sentence and "takd.network" in sentence


def test_the_assistant_learns_logits_and_no_features(recipe: Recipe) -> None:
    changed = recipe.changed({"takd.zero_shot_weight": 3, "takd.zero_shot_temperature": 7})
    context = TaskContext(changed, torch.eye(CLASSES, 8), 10.0, {}, fresh)
    task = plan_of("takd").task("assistant", fresh("assistant", recipe.student), context)
    assert task.needs_vlm and not task.projections
    config = task.config
    assert (config.feature_weight, config.logit_weight, config.temperature) == (0, 3, 7)


@pytest.mark.parametrize(("arm", "section"), [("kd", "kd"), ("takd", "takd")])
def test_a_student_taught_by_logits_may_have_views_of_its_own(
    recipe: Recipe, arm: Arm, section: str
) -> None:
    assert last_task(recipe, arm).views == recipe.views.kind == "full"
    assert last_task(recipe.changed({f"{section}.views": "original"}), arm).views == "original"


def test_only_arms_with_a_frozen_teacher_ask_it(recipe: Recipe) -> None:
    asking = {arm for arm in ARMS if last_task(recipe, arm).needs_vlm}
    assert asking == {"direct", "vl2lite", "dho"}


def test_a_joint_teacher_learns_in_the_students_stage(recipe: Recipe) -> None:
    joint = recipe.changed({"dait.teacher": "joint", "dait.stage1_epochs": 9})
    assert roles(joint, "dait") == [("student", 2)]
    task = last_task(joint, "dait")
    assert isinstance(task, JointTask)
    assert (task.views, task.needs_vlm) == (recipe.views.kind, True)
    assert len(task.learners()) == 2
    expected = fresh("intermediate", recipe.intermediate).state_dict()
    found = task.extra_networks["intermediate"].state_dict()
    assert all(torch.equal(expected[key], value) for key, value in found.items())


def test_a_random_teacher_is_new_and_never_learns(recipe: Recipe) -> None:
    control = recipe.changed({"dait.teacher": "random", "dait.views": "original"})
    assert roles(control, "dait") == [("student", 2)]
    task = last_task(control, "dait")
    assert isinstance(task, TaughtTask) and not isinstance(task, JointTask)
    assert (task.views, task.needs_vlm) == ("original", False)
    teacher = task.extra_networks["intermediate"]
    assert teacher is task.teacher and not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    expected = fresh("intermediate", recipe.intermediate).state_dict()
    assert all(torch.equal(expected[key], value) for key, value in teacher.state_dict().items())
    assert task.learners() == [task.network]
