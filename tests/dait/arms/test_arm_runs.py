"""Every arm from nothing to its result: the files of its roles, what they hold, what they cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import check

from dait.arms.plan import ROLE_TITLES
from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import EpochDone, Event, Note, ignore
from dait.models.checkpoint import load_network, load_tensors
from dait.models.cost import count_parameters
from dait.models.network import Network
from dait.runs.folder import RunFolder
from dait.study.context import StudyContext, prepare
from dait.study.run import run_arm
from dait.study.stage import new_network

TEACHERS: dict[Arm, str] = {"kd": "classifier", "takd": "assistant", "dait": "intermediate"}
PROJECTIONS: dict[str, set[str]] = {
    "direct": {"student_to_vlm"},
    "vl2lite": {"align_image", "align_text"},
    "dho": {"second_head"},
    "dait": {"map_adapter"},
}


@pytest.fixture(scope="module")
def context(small_recipe: Recipe) -> StudyContext:
    return prepare(small_recipe, ignore)


def changed(context: StudyContext, **changes: object) -> StudyContext:
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return replace(context, recipe=context.recipe.changed(settings))


def networks_in(folder: RunFolder) -> set[str]:
    return {file.stem for file in folder.path.glob("*.safetensors")}


def distance(start: Network, trained: Network) -> list[float]:
    """How far each group of weights has moved, by its name's first part."""
    moved: dict[str, float] = {}
    after = dict(trained.named_parameters())
    for name, parameter in start.named_parameters():
        group = ".".join(name.split(".")[:2])
        moved[group] = moved.get(group, 0.0) + float(
            (after[name] - parameter).detach().square().sum()
        )
    return [value**0.5 for value in moved.values()]


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_leaves_a_student_and_what_taught_it(
    context: StudyContext, tmp_path: Path, arm: Arm
) -> None:
    run, events = RunFolder(tmp_path / arm), list[Event]()
    result = run_arm(context, arm, 0, run, events.append)
    teachers = {TEACHERS[arm]} if arm in TEACHERS else set()
    assert networks_in(run) == {"student", *teachers}
    for role in ("student", *teachers):
        trained = load_network(run.weights(role)).network
        start = new_network(context, trained.spec, 0, role)
        check(f"training of {arm} {role}", distance(start, trained))
    student = load_network(run.student)
    assert (student.description.arm, student.classes) == (arm, context.class_keys)
    # Neither projections nor teachers are in what is exported, but a second head that answers.
    alone = new_network(context, context.recipe.student, 0)
    more = student.network.state_dict().keys() - alone.state_dict().keys()
    assert {name.split(".")[0] for name in more} == ({"mix"} if arm == "dho" else set())
    own = count_parameters(alone)
    assert result["parameters"] > own if arm == "dho" else result["parameters"] == own
    assert 0 <= result["top1"] <= 1

    kept = json.loads((run.path / "result.json").read_text())["between"]
    assert set(kept) == teachers
    with np.load(run.predictions, allow_pickle=False) as arrays:
        for role, figures in kept.items():
            network = load_network(run.weights(role))
            assert network.description.arm == role
            assert figures["title"] == ROLE_TITLES[role]  # type: ignore[index]
            assert figures["parameters"] == count_parameters(network.network)
            assert 0 <= figures["val_top1"] <= 1
            found = arrays[f"{role}_logits"].astype(np.float32).argmax(1) == arrays["labels"]
            assert figures["top1"] == pytest.approx(found.mean(), abs=1.5 / len(found))
    assert (result["intermediate"] is not None) == (arm == "dait")

    file = run.checkpoints / "projections-student.safetensors"
    tensors = load_tensors(file) if file.exists() else {}
    assert {name.partition(".")[0] for name in tensors} == PROJECTIONS.get(arm, set())
    epochs = [event for event in events if isinstance(event, EpochDone)]
    stages = [ROLE_TITLES[role] for role in (*teachers, "student")]  # type: ignore[index]
    assert [event.stage for event in epochs] == [stage for stage in stages for _ in range(2)]


def test_labels_weigh_more_in_every_epoch_of_vl2lite(context: StudyContext, tmp_path: Path) -> None:
    events = list[Event]()
    longer = changed(context, train__epochs=4)
    run_arm(longer, "vl2lite", 0, RunFolder(tmp_path / "run"), events.append)
    for event in (e for e in events if isinstance(e, EpochDone)):
        share = event.epoch / (8 * 4)
        distilled = (event.parts["feature"] + event.parts["logits"]) / 2
        expected = share * event.parts["classification"] + (1 - share) * distilled
        assert event.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("teacher", ["joint", "random"])
def test_a_teacher_beside_the_student_is_kept_too(
    context: StudyContext, tmp_path: Path, teacher: str
) -> None:
    run, events = RunFolder(tmp_path / teacher), list[Event]()
    result = run_arm(changed(context, dait__teacher=teacher), "dait", 0, run, events.append)
    assert networks_in(run) == {"student", "intermediate"}
    figures = result["intermediate"]
    # Validation is the student's: nothing was measured of the other on it.
    assert 0 <= figures["top1"] <= 1 and figures["val_top1"] is None
    assert [e.stage for e in events if isinstance(e, EpochDone)] == ["student"] * 2
    found = dict(load_network(run.intermediate).network.named_parameters())
    new = dict(
        new_network(context, context.recipe.intermediate, 0, "intermediate").named_parameters()
    )
    same = all(torch.equal(found[name], parameter) for name, parameter in new.items())
    assert same == (teacher == "random")
    tensors = load_tensors(run.checkpoints / "projections-student.safetensors")
    names = {name.partition(".")[0] for name in tensors}
    both = {"map_adapter", "intermediate_to_vlm"}
    assert names == (both if teacher == "joint" else {"map_adapter"})


def test_a_small_assistant_is_noted_before_it_is_trained(
    context: StudyContext, tmp_path: Path
) -> None:
    events = list[Event]()
    same = changed(context, takd__network=context.recipe.student.model_dump(), train__epochs=1)
    run_arm(same, "takd", 0, RunFolder(tmp_path / "run"), events.append)
    warned = [
        index
        for index, event in enumerate(events)
        if isinstance(event, Note) and "should be the larger one" in event.text
    ]
    trained = [index for index, event in enumerate(events) if isinstance(event, EpochDone)]
    assert len(warned) == 1 and warned[0] < trained[0]


@pytest.mark.parametrize("key", ["kd.network", "takd.network"])
def test_a_named_teacher_that_cannot_be_built_shows_before_anything_is_trained(
    small_recipe: Recipe, key: str
) -> None:
    wrong = {"name": "lcnet_050", "output_stride": 8}
    with pytest.raises(UserError, match="cannot be dilated"):
        prepare(small_recipe.changed({key: wrong}), ignore)


HEADS = {
    "direct": {"direct__text_weight": 1.0},
    "vl2lite": {},
    "kd": {},
    "takd": {},
    "dait": {"dait__text_weight": 1.0},
}


@pytest.mark.parametrize("head", ["text", "both"])
@pytest.mark.parametrize("arm", HEADS)
def test_a_student_answers_with_the_head_that_was_asked_for(
    context: StudyContext, tmp_path: Path, arm: Arm, head: str
) -> None:
    settings = {**HEADS[arm], f"{arm}__head": head, "train__epochs": 1}
    run = RunFolder(tmp_path / "run")
    result = run_arm(changed(context, **settings), arm, 0, run, ignore)
    mix = load_network(run.student).network.mix
    assert mix is not None and (head == "both" or mix.own_weight == 0)
    # What is measured is what the file answers.
    with np.load(run.predictions, allow_pickle=False) as arrays:
        found = arrays["logits"].astype(np.float32).argmax(1) == arrays["labels"]
    assert result["top1"] == pytest.approx(found.mean(), abs=1.5 / len(found))


@pytest.mark.parametrize("arm", ["direct", "dait", "vl2lite", "kd", "takd"])
def test_a_second_head_needs_something_that_trains_it(small_recipe: Recipe, arm: str) -> None:
    zero = {
        "direct": {"direct.feature_weight": 0},
        "dait": {},
        "vl2lite": {"vl2lite.logit_weight": 0},
        "kd": {"kd.logit_weight": 0},
        "takd": {"takd.logit_weight": 0},
    }[arm]
    with pytest.raises(UserError, match="nothing trains the student's second head"):
        small_recipe.changed({**zero, f"{arm}.head": "both"})
