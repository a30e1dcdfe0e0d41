"""One run's parts, and what its arms share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dait.config.arms import ARMS
from dait.config.recipe import Recipe
from dait.data.fieldguide import FieldGuide
from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError
from dait.events import EpochDone, Event, Note, ignore
from dait.models.checkpoint import load_network, load_tensors
from dait.runs.data import open_data
from dait.runs.folder import RunFolder
from dait.study.context import StudyContext, prepare
from dait.study.run import run_arm
from dait.study.stage import new_network, stage_plan
from dait.teachers.base import text_prototypes
from dait.teachers.embedding import embed_split
from dait.teachers.registry import prototypes_of
from dait.teachers.vision_only import VisionOnlyTeacher


@pytest.fixture(scope="module")
def context(small_recipe: Recipe) -> StudyContext:
    return prepare(small_recipe, ignore)


def test_every_arm_starts_from_the_same_student(context: StudyContext) -> None:
    """Whatever was drawn before: stage 1 of DAIT has trained a network by then."""
    first = new_network(context, context.recipe.student, 3).state_dict()
    torch.rand(100)
    again = new_network(context, context.recipe.student, 3).state_dict()
    other = new_network(context, context.recipe.student, 4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["model.fc.weight"], other["model.fc.weight"])


def frozen_run(context: StudyContext, arm: str, folder: Path) -> dict[str, Tensor]:
    """The student after a training whose learning rate moves nothing that fp32 could hold."""
    still = context.recipe.changed({"train.learning_rate": 1e-30, "train.epochs": 1})
    moved = StudyContext(
        still,
        context.data,
        context.teacher,
        context.prototypes,
        context.embeddings,
        context.zero_shot,
    )
    run = RunFolder(folder)
    run_arm(moved, arm, 3, run, ignore)  # type: ignore[arg-type]
    return load_network(run.student).network.state_dict()


@pytest.mark.slow
def test_the_arms_really_train_that_student(context: StudyContext, tmp_path: Path) -> None:
    expected = dict(new_network(context, context.recipe.student, 3).named_parameters())
    for arm in ARMS:
        found = frozen_run(context, arm, tmp_path / arm)
        for name, parameter in expected.items():
            torch.testing.assert_close(found[name], parameter.data, rtol=0, atol=1e-12)


def test_zero_shot_figures_are_the_teachers_on_test(context: StudyContext) -> None:
    test = context.data.split("test")
    pixels = torch.tensor(test.images).permute(0, 3, 1, 2) / 255
    embeddings = context.teacher.embed(pixels)
    torch.testing.assert_close(context.embeddings, embeddings)
    prototypes = text_prototypes(context.teacher, context.data.classes)
    torch.testing.assert_close(context.prototypes.vectors, prototypes)
    answers = (embeddings @ prototypes.T).argmax(1).numpy()
    assert context.zero_shot["top1"] == pytest.approx(np.mean(answers == test.labels))
    assert context.class_keys == [info.key for info in context.data.classes]


def test_a_dait_run_keeps_its_parts_apart(context: StudyContext, tmp_path: Path) -> None:
    run, events = RunFolder(tmp_path / "run"), list[Event]()
    result = run_arm(context, "dait", 0, run, events.append)
    student, middle = load_network(run.student), load_network(run.intermediate)
    assert student.description.arm == "dait" and student.classes == context.class_keys
    assert middle.description.arm == "intermediate"
    stage1 = load_tensors(run.checkpoints / "projections-intermediate.safetensors")
    stage2 = load_tensors(run.checkpoints / "projections-student.safetensors")
    assert stage1.keys() == {"intermediate_to_vlm.weight", "intermediate_to_vlm.bias"}
    assert stage2.keys() == {"map_adapter.weight", "map_adapter.bias"}
    kept = set(student.network.state_dict()) | set(middle.network.state_dict())
    assert not kept & (stage1.keys() | stage2.keys())
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [e.stage for e in epochs] == ["intermediate teacher"] * 2 + ["student"] * 2
    assert result["intermediate"]["val_top1"] == epochs[1].val_top1
    assert result["val_top1"] == epochs[3].val_top1


@pytest.mark.slow
def test_the_place_among_the_class_texts_reaches_stage_2_after_a_resume_too(
    context: StudyContext, tmp_path: Path
) -> None:
    recipe = context.recipe.changed({"dait.text_weight": 2})
    settings = replace(context, recipe=recipe)
    run, again = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "again")
    for folder in (run, again):
        run_arm(settings, "dait", 0, folder, ignore)
    for file in (again.student, again.path / "result.json"):
        file.unlink()
    kept = again.projections("intermediate").read_bytes()
    again.projections("intermediate").unlink()
    with pytest.raises(UserError, match="projections-intermediate"):
        run_arm(settings, "dait", 0, again, ignore, resume=True)
    again.projections("intermediate").write_bytes(kept)
    run_arm(settings, "dait", 0, again, ignore, resume=True)
    first, second = (load_network(folder.student).network.state_dict() for folder in (run, again))
    assert all(torch.equal(first[key], second[key]) for key in first)
    taught = load_tensors(run.projections("student"))
    assert "student_to_vlm.weight" in taught


def test_predictions_in_the_folder_are_those_of_the_saved_networks(
    context: StudyContext, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    result = run_arm(context, "dait", 1, run, ignore)
    test = context.data.split("test")
    pixels = torch.tensor(test.images).permute(0, 3, 1, 2) / 255
    with np.load(run.predictions, allow_pickle=False) as kept, torch.no_grad():
        for prefix, path in (("", run.student), ("intermediate_", run.intermediate)):
            output = load_network(path).network(pixels)
            np.testing.assert_allclose(kept[f"{prefix}logits"], output.logits, rtol=1e-2, atol=1e-2)
            np.testing.assert_allclose(kept[f"{prefix}pooled"], output.pooled, rtol=1e-2, atol=1e-2)
            assert kept[f"{prefix}logits"].dtype == np.float16
        assert kept["ids"].tolist() == list(test.ids)
        np.testing.assert_array_equal(kept["labels"], test.labels)
        right = kept["logits"].astype(np.float32).argmax(1) == test.labels
    assert result["top1"] == pytest.approx(right.mean(), abs=1.5 / len(test))


def test_stage_plans_are_the_steps_that_are_taken(context: StudyContext, tmp_path: Path) -> None:
    recipe = context.recipe.changed({"dait.stage1_epochs": 3})
    plan = stage_plan(recipe, "dait", 24)
    assert [(stage.name, stage.steps) for stage in plan] == [
        ("intermediate teacher", 9), ("student", 6),
    ]  # fmt: skip
    assert [stage.steps for stage in stage_plan(recipe, "direct", 24)] == [6]
    assert [stage.steps for stage in stage_plan(recipe, "direct", 5)] == [2]


def test_faults_show_before_anything_is_trained(small_recipe: Recipe) -> None:
    with pytest.raises(UserError, match="cannot be dilated"):
        prepare(small_recipe.changed({"student.name": "lcnet_050", "student.options": {}}), ignore)
    with pytest.raises(UserError, match="no teacher called"):
        prepare(small_recipe.changed({"teacher.name": "nobody"}), ignore)
    with pytest.raises(UserError, match=r"no data set ‘fieldgide’.*Did you mean ‘fieldguide’"):
        prepare(small_recipe.changed({"data.source": "fieldgide"}), ignore)


def photographs(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(10):
            noise = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{number}.png")


def test_a_folder_of_photographs_is_data_too(small_recipe: Recipe, tmp_path: Path) -> None:
    photographs(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "broken.jpg").write_text("no cat")
    recipe = small_recipe.changed({"data.source": str(tmp_path / "pets")})
    notes: list[Event] = []
    context = prepare(recipe, notes.append)
    assert isinstance(context.data, ImageFileDataset) and context.class_keys == ["cat", "dog"]
    assert any(isinstance(n, Note) and "cat/broken.jpg" in n.text for n in notes)
    result = run_arm(context, "direct", 0, RunFolder(tmp_path / "run"), ignore)
    assert 0 <= result["top1"] <= 1 and result["n_test"] == context.data.counts()["test"]


def test_the_field_guides_options_reach_it(small_recipe: Recipe) -> None:
    data = open_data(small_recipe.changed({"data.seed": 5, "data.habitat_bias": 0.2}), ignore)
    assert isinstance(data, FieldGuide)
    assert (data.options.seed, data.options.habitat_bias, data.options.species) == (5, 0.2, 6)
    assert data.counts() == {"train": 24, "val": 12, "test": 18}


def test_a_teacher_that_reads_no_text_has_class_means(birds: FieldGuide) -> None:
    from dait.models.network import NetworkSpec, build_network

    torch.manual_seed(0)
    teacher = VisionOnlyTeacher("test", build_network(NetworkSpec(name="test_resnet"), 3, 32))
    found = prototypes_of(teacher, birds)
    train = birds.split("train")
    embeddings = embed_split(teacher, train.images, batch=7)
    labels = torch.tensor(train.labels)
    for label in range(6):
        mean = embeddings[labels == label].sum(dim=0)
        torch.testing.assert_close(found.vectors[label], mean / mean.norm())
    assert found.logit_scale >= 1
