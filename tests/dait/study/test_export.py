"""A shipped study is small and shows the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dait.errors import UserError
from dait.evaluation.evaluate import evaluate_run
from dait.evaluation.predictions import read_predictions
from dait.evaluation.records import read_seed, read_study
from dait.evidence.comparison import Comparison
from dait.evidence.finding import read_finding
from dait.runs.folder import StudyFolder
from dait.study.export import export_study


def test_an_exported_study_is_smaller_and_compares_alike(tiny_study: Path, tmp_path: Path) -> None:
    original = Comparison(StudyFolder(tiny_study))
    shipped = export_study(StudyFolder(tiny_study), tmp_path / "shipped")
    exported = Comparison(shipped)

    before = tiny_study / f"dait-s{original.seed}" / "student.safetensors"
    after = shipped.path / before.parent.name / before.name
    assert after.stat().st_size < before.stat().st_size
    assert [row["top1"] for row in exported.table()] == [row["top1"] for row in original.table()]
    assert exported.members == original.members
    image, _ = original.test_image(0)
    for one, other in zip(original.explain(image), exported.explain(image), strict=True):
        np.testing.assert_allclose(
            [p for _, p in one.top], [p for _, p in other.top], rtol=0.02, atol=1e-3
        )


def test_training_time_parts_and_other_seeds_networks_stay_behind(
    tiny_study: Path, tmp_path: Path
) -> None:
    seeds = StudyFolder(tiny_study).description()["seeds"]
    shipped = export_study(StudyFolder(tiny_study), tmp_path / "shipped", weights_of=seeds[1])

    assert not list(shipped.path.rglob("projections-*"))
    kept = {file.parent.name for file in shipped.path.rglob("*.safetensors")}
    assert kept and all(name.endswith(f"-s{seeds[1]}") for name in kept)
    assert (shipped.path / f"dait-s{seeds[0]}" / "result.json").exists()


def test_only_a_finished_study_with_that_seed_into_a_new_folder(
    tiny_study: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no seed 77"):
        export_study(StudyFolder(tiny_study), tmp_path / "a", weights_of=77)
    with pytest.raises(UserError, match="exists already"):
        export_study(StudyFolder(tiny_study), tmp_path)
    unfinished = StudyFolder(tmp_path / "new")
    unfinished.create({"name": "new"})
    with pytest.raises(UserError, match="only a finished study"):
        export_study(unfinished, tmp_path / "b")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_only_seeds_with_networks_are_offered_but_means_go_over_all(
    tiny_study: Path, tmp_path: Path
) -> None:
    seeds = StudyFolder(tiny_study).description()["seeds"]
    exported = Comparison(export_study(StudyFolder(tiny_study), tmp_path / "a", seeds[1]))

    assert exported.seeds == (seeds[1],)
    assert exported.seed == seeds[1]
    assert {row["seeds"] for row in exported.table() if row["role"] == "dait"} == {len(seeds)}


def test_every_seed_is_tested_image_by_image(tiny_study: Path, tmp_path: Path) -> None:
    original = read_study(StudyFolder(tiny_study))
    shipped = read_study(export_study(StudyFolder(tiny_study), tmp_path / "shipped"))

    assert read_finding(shipped) == read_finding(original)
    assert read_finding(shipped).tested_seeds == original.seeds
    kept, left = (shipped.runs[seed][0].folder for seed in original.seeds[:2])
    assert read_predictions(kept.predictions).pooled
    assert not read_predictions(left.predictions).pooled
    assert evaluate_run(left).predictions is not None
    with pytest.raises(UserError, match=f"open it with seed {original.seeds[0]}"):
        read_seed(shipped, original.seeds[1])


def test_nothing_of_the_machine_is_shipped(tiny_study: Path, tmp_path: Path) -> None:
    shipped = export_study(StudyFolder(tiny_study), tmp_path / "shipped")

    assert "pid" not in shipped.status()
    assert not list(shipped.path.rglob("log.txt"))
    assert "/" not in shipped.description()["recipe"]["data"]["source"]


def test_a_broken_export_leaves_nothing(tiny_study: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(tiny_study, study)
    (study / "dait-s0" / "student.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError):
        export_study(StudyFolder(study), tmp_path / "shipped")
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize(
    ("source", "shipped"),
    [
        ("hf:owner/pets", "hf:owner/pets"),
        ("/home/somebody/pets.zip", "pets.zip"),
        ("fgvc-aircraft:family", "fgvc-aircraft:family"),
    ],
)
def test_a_name_is_kept_and_a_place_is_not(
    source: str, shipped: str, tiny_study: Path, tmp_path: Path
) -> None:
    study = StudyFolder(Path(shutil.copytree(tiny_study, tmp_path / "study")))
    described = study.description()
    described["recipe"]["data"]["source"] = source
    study.write_description(described)
    exported = export_study(study, tmp_path / "out").description()
    assert exported["recipe"]["data"]["source"] == shipped


def test_where_weights_and_earlier_studies_lie_is_not_shipped(
    tiny_study: Path, tmp_path: Path
) -> None:
    study = StudyFolder(shutil.copytree(tiny_study, tmp_path / "study"))
    described = study.description()
    recipe = described["recipe"]
    mine = {**recipe["student"], "weights": f"{tmp_path}/mine.safetensors"}
    recipe |= {"student": mine, "kd": {**recipe["kd"], "network": mine}}
    recipe["intermediate"] = {**recipe["intermediate"], "weights": "backbone:half-1"}
    study.write_description({**described, "recipe": recipe, "reuse": [f"{tmp_path}/earlier"]})
    shipped = export_study(study, tmp_path / "shipped").description()
    assert str(tmp_path) not in str(
        {key: shipped[key] for key in shipped if key != "recipe"}
        | {key: shipped["recipe"][key] for key in ("student", "intermediate", "kd", "takd")}
    )
    assert shipped["recipe"]["student"]["weights"] == "mine.safetensors"
    assert shipped["recipe"]["kd"]["network"]["weights"] == "mine.safetensors"
    assert shipped["recipe"]["intermediate"]["weights"] == "backbone:half-1"
