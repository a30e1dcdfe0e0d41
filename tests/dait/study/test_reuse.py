from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dait.arms.catalogue import plan_of
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import Event, Note, StageSkipped, StageStarted, ignore
from dait.models.checkpoint import save_network, tensors_sha256
from dait.models.network import build_network
from dait.models.tensors import NETWORK_KEY, load_tensors, read_tensors, save_tensors
from dait.runs.folder import RunFolder, StudyFolder
from dait.study.context import StudyContext, prepare
from dait.study.plan import begin_study, read_plan
from dait.study.provenance import CODE, PACKAGE, code_digest, provenance
from dait.study.reuse import first_stage_key, reuse_first_stage
from dait.study.stage import new_network
from dait.study.train import train_study

ONE_EPOCH = {"train.epochs": 1, "dait.text_weight": 2}
OTHER_STUDENT = {"student.options.channels": [8, 8, 16, 16]}


@pytest.fixture(scope="module")
def recipe(small_recipe: Recipe) -> Recipe:
    return small_recipe.changed(ONE_EPOCH)


def train(recipe: Recipe, arms: list[Arm], out: Path, *reuse: Path) -> list[Event]:
    heard = list[Event]()
    train_study(begin_study(recipe, arms, [7], out, reuse=reuse), heard.append)
    return heard


def weights(study: Path, run: str, role: str) -> str:
    return tensors_sha256(load_tensors(StudyFolder(study).path / run / f"{role}.safetensors"))


@pytest.mark.slow
def test_another_student_is_taught_as_if_the_teacher_had_been_trained_anew(
    recipe: Recipe, tmp_path: Path
) -> None:
    arms: list[Arm] = ["kd", "takd", "dait"]
    named = recipe.changed({"takd.network": recipe.intermediate.model_dump()})
    train(named, arms, tmp_path / "first")
    other = named.changed({"dait.spatial_weight": 1})
    heard = train(other, arms, tmp_path / "taken", tmp_path / "first")
    train(other, arms, tmp_path / "anew")
    started = [event.name for event in heard if isinstance(event, StageStarted)]
    assert started == ["student"] * 3
    kept = [event.name for event in heard if isinstance(event, StageSkipped)]
    assert kept == ["classifier", "assistant", "intermediate teacher"]
    for arm, role in (("kd", "classifier"), ("takd", "assistant"), ("dait", "intermediate")):
        for file in (role, "student"):
            taken = weights(tmp_path / "taken", f"{arm}-s7", file)
            assert taken == weights(tmp_path / "anew", f"{arm}-s7", file)
    (_, _, run) = StudyFolder(tmp_path / "taken").runs()
    assert (run.result() or {})["taken"] == {"intermediate": "first/dait-s7"}
    anew = StudyFolder(tmp_path / "anew").runs()[2]
    assert [row["stage"] for row in run.metrics()] == [row["stage"] for row in anew.metrics()]
    assert (anew.result() or {})["taken"] == {}


@pytest.mark.slow
def test_a_teacher_of_other_settings_is_trained_here_and_that_is_said(
    recipe: Recipe, earlier: Path, tmp_path: Path
) -> None:
    changed = recipe.changed({"dait.semantic_weight": 3})
    heard = train(changed, ["dait"], tmp_path / "second", earlier)
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert any(
        "no run in first has trained this intermediate teacher with seed 7" in n for n in notes
    )
    assert next(e.name for e in heard if isinstance(e, StageStarted)) == "intermediate teacher"


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("dait", {"dait.spatial_weight": 1}),
        ("dait", {"dait.text_weight": 0}),
        ("dait", {"direct.feature_weight": 9}),
        ("dait", OTHER_STUDENT),
        ("dait", {"views.cache": False}),
        ("kd", {"kd.logit_weight": 9}),
        ("kd", {"dait.semantic_weight": 9}),
        ("takd", {"takd.logit_weight": 9}),
    ],
)
def test_what_a_first_stage_does_not_depend_on(
    recipe: Recipe, arm: Arm, change: dict[str, object]
) -> None:
    stages = plan_of(arm).stages
    other = recipe.changed(change)
    assert first_stage_key(recipe, stages(recipe), 7) == first_stage_key(other, stages(other), 7)


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("dait", {"dait.semantic_weight": 9}),
        ("dait", {"dait.temperature": 9}),
        ("dait", {"dait.stage1_epochs": 9}),
        ("dait", {"train.epochs": 9}),
        ("dait", {"train.learning_rate": 0.9}),
        ("dait", {"views.kind": "original"}),
        ("dait", {"data.seed": 9}),
        ("dait", {"intermediate.options.channels": [8, 8, 16, 16]}),
        ("kd", {"intermediate.options.channels": [8, 8, 16, 16]}),
        ("takd", {"takd.zero_shot_weight": 9}),
        ("takd", OTHER_STUDENT),  # its assistant is the student's network at twice its width
    ],
)
def test_what_a_first_stage_depends_on(recipe: Recipe, arm: Arm, change: dict[str, object]) -> None:
    stages = plan_of(arm).stages
    other = recipe.changed(change)
    assert first_stage_key(recipe, stages(recipe), 7) != first_stage_key(other, stages(other), 7)
    assert first_stage_key(recipe, stages(recipe), 7) != first_stage_key(recipe, stages(recipe), 8)


def test_an_arm_of_one_stage_teaches_nobody(recipe: Recipe) -> None:
    for arm in ("independent", "direct", "vl2lite"):
        assert first_stage_key(recipe, plan_of(arm).stages(recipe), 7) is None


def test_a_folder_without_a_run_is_refused_before_anything_is_written(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="neither a study"):
        begin_study(recipe, ["dait"], [7], tmp_path / "out", reuse=[tmp_path])
    assert not (tmp_path / "out").exists()


def test_a_resumed_study_still_knows_whom_to_ask(
    recipe: Recipe, earlier: Path, tmp_path: Path
) -> None:
    begin_study(recipe, ["dait"], [7], tmp_path / "second", reuse=[earlier])
    train_study(read_plan(StudyFolder(tmp_path / "second")), ignore)
    (run,) = StudyFolder(tmp_path / "second").runs()
    assert (run.result() or {})["taken"] == {"intermediate": "first/dait-s7"}
    assert weights(earlier, "dait-s7", "student") == weights(
        tmp_path / "second", "dait-s7", "student"
    )


@pytest.fixture(scope="module")
def earlier(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of one run, with an intermediate teacher."""
    out = tmp_path_factory.mktemp("earlier") / "first"
    train(recipe, ["dait"], out)
    return out


@pytest.fixture(scope="module")
def context(recipe: Recipe, earlier: Path) -> StudyContext:
    return replace(prepare(recipe, ignore), earlier=(earlier,))


def taken(context: StudyContext, folder: Path) -> list[str]:
    """What is said of taking the intermediate teacher of seed 7 into ``folder``."""
    stages, heard = plan_of("dait").stages(context.recipe), list[Event]()
    run = RunFolder(folder)
    start = new_network(context, stages[0].network, 7, stages[0].role)
    reuse_first_stage(context, stages, 7, run, provenance(context, start, run), heard.append)
    assert run.intermediate.exists() == any("is reused from" in str(event) for event in heard)
    return [event.text for event in heard if isinstance(event, Note)]


def rewritten(study: Path, out: Path, **changes: object) -> Path:
    """A copy whose intermediate teacher says something else of what it was made of."""
    shutil.copytree(study, out)
    file = out / "dait-s7" / "intermediate.safetensors"
    tensors, metadata = read_tensors(file)
    described = json.loads(metadata[NETWORK_KEY])
    facts = json.loads(described["extra"]["made_of"])
    described["extra"]["made_of"] = json.dumps(facts | changes)
    if not changes:
        del described["extra"]["made_of"]
    save_tensors(file, tensors, {NETWORK_KEY: json.dumps(described)})
    return out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "other"}, "the images"),
        ({"start": "other"}, "the weights that training starts from"),
        ({"teacher": "other"}, "the frozen teacher's weights"),
        ({"prompts": "other"}, "the sentences about the classes"),
        ({"code": "other"}, "the code that trains"),
        ({"versions": {"timm": "0.1"}}, "timm is 0.1 there and"),
        ({"versions_before": [{"torch": "1.0"}]}, "before it was resumed"),
        ({}, "of an older version"),
    ],
)
def test_what_was_made_of_anything_else_is_not_reused_and_that_is_said(
    changes: dict[str, object], said: str, context: StudyContext, earlier: Path, tmp_path: Path
) -> None:
    other = rewritten(earlier, tmp_path / "other", **changes)
    notes = taken(replace(context, earlier=(other,)), tmp_path / "run")
    assert any("of other/dait-s7 is not reused: " in note and said in note for note in notes)
    assert "trained here" in notes[-1]


def test_other_threads_are_worth_a_word(
    context: StudyContext, earlier: Path, tmp_path: Path
) -> None:
    other = rewritten(earlier, tmp_path / "other", runtime={"threads": 64, "device": "cpu"})
    notes = taken(replace(context, earlier=(other,)), tmp_path / "run")
    assert any("threads 64 then and 1 now" in note and "last digits" in note for note in notes)


def test_a_damaged_run_costs_itself_alone(
    context: StudyContext, earlier: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(earlier, tmp_path / "damaged"))
    (damaged / "dait-s7" / "intermediate.safetensors").write_bytes(b"cut")
    notes = taken(replace(context, earlier=(damaged, earlier)), tmp_path / "run")
    assert any("damaged/dait-s7 is not reused" in note for note in notes)
    assert any("is reused from first/dait-s7" in note for note in notes)


def test_provenance_follows_what_lies_behind_the_names(
    recipe: Recipe, clip_folder: Path, tmp_path: Path
) -> None:
    """Files that change under the same path, which the settings cannot tell."""
    weights, clip = tmp_path / "start.safetensors", tmp_path / "clip"
    shutil.copytree(clip_folder, clip)
    settings = {"teacher.name": f"openclip-local:{clip}", "intermediate.weights": str(weights)}
    found = []
    for number in range(2):
        torch.manual_seed(number)
        network = build_network(recipe.intermediate, 40, recipe.data.size)
        save_network(weights, network, [str(key) for key in range(40)], arm="dait")
        if number:
            tensors, metadata = read_tensors(clip / "open_clip_model.safetensors")
            tensors["visual.proj"] = tensors["visual.proj"] + 1
            save_tensors(clip / "open_clip_model.safetensors", tensors, metadata)
        context = prepare(recipe.changed(settings), ignore)
        start = new_network(context, context.recipe.intermediate, 7, "intermediate")
        found.append(provenance(context, start, RunFolder(tmp_path / "run")))
    assert {key for key in found[0] if found[0][key] != found[1][key]} == {"start", "teacher"}
    assert "start.safetensors" in found[0]["start_from"]


def test_the_digest_of_the_code_is_of_its_statements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = 'def f(x):\n    """Twice."""\n    return 2 * x\n'
    found = []
    for text in (code, code.replace("Twice.", "Two x.") + "# done\n", code.replace("2", "3")):
        (tmp_path / "losses.py").write_text(text)
        monkeypatch.setattr("dait.study.provenance.PACKAGE", tmp_path)
        code_digest.cache_clear()
        found.append(code_digest())
    code_digest.cache_clear()
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("pattern", CODE)
def test_the_digest_covers_modules_that_exist(pattern: str) -> None:
    assert any(PACKAGE.glob(pattern))
