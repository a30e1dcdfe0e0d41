"""The report on real study folders: what is in it, what is missing from it, and its figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dait.errors import UserError
from dait.evaluation.regimes import MAP
from dait.evidence.report.build import Report, make_report
from dait.evidence.report.inputs import gather

pytestmark = pytest.mark.slow

SECTIONS = (
    *("in-short", "accuracy", "teachers", "classes", "confusions", "heatmaps", "localisation"),
    *(
        "features",
        "costs",
        "curves",
        *(["regimes"] if MAP.exists() else []),
        "ablations",
        "origins",
    ),
)


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that a report may keep its figures in."""
    return Path(shutil.copytree(tiny_study, tmp_path_factory.mktemp("reported") / "study"))


@pytest.fixture(scope="module")
def report(study: Path) -> Report:
    return make_report([study], images=4)


def test_every_section_is_there_and_in_the_contents(report: Report) -> None:
    for name in SECTIONS:
        assert f'<section id="{name}">' in report.html
        assert f'href="#{name}"' in report.html
    assert report.html.count('role="img" aria-label="') == report.html.count('class="wide-data"')
    assert report.figures["left_out"] == []
    assert 'class="missing">Without' not in report.html


def test_the_figures_for_machines_are_those_of_the_parts(report: Report, study: Path) -> None:
    figures = report.figures
    assert [row["arm"] for row in figures["table"]] == ["independent", "direct", "dait"]
    dait = figures["table"][-1]
    results = [json.loads((study / f"dait-s{s}" / "result.json").read_text()) for s in (0, 1)]
    assert dait["top1"]["mean"] == pytest.approx(sum(r["top1"] for r in results) / 2)
    assert dait["against"] == "direct" and figures["table"][1]["gain"] is None
    assert len(figures["mcnemar"]) == 3 * 2
    assert {row["role"] for row in figures["representation"]["study"]} == {
        *("vlm", "intermediate", "independent", "direct", "dait")
    }
    kept = json.loads((study / "localisation.json").read_text())["measurements"][-1]
    assert json.loads(json.dumps(figures["localisation"]["study"]["arms"])) == kept["arms"]


def test_what_is_kept_is_not_measured_again(study: Path, report: Report) -> None:
    path = study / "localisation.json"
    found = json.loads(path.read_text())
    found["measurements"][-1]["arms"][0]["title"] = "Somebody"
    path.write_text(json.dumps(found))
    assert gather([study]).localised["study"].arms[0].title == "Somebody"


def test_what_is_missing_costs_a_sentence(tiny_study: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(tiny_study, tmp_path / "study"))
    # As an export leaves it, and on a machine that does not have the teacher.
    for run in study.glob("*-s1"):
        (run / "predictions.npz").unlink()
        for weights in run.glob("*.safetensors"):
            weights.unlink()
    _change(study, lambda recipe: recipe["teacher"].update(name="openclip-local:nowhere"))
    html = make_report([study], images=2).html
    assert "Of seed 1 only figures are kept" in html
    assert "Without Frozen teacher" in html
    assert html.count('<section id="') == len(SECTIONS)


def test_a_run_alone_has_its_figures(tiny_study: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_study / "dait-s0", tmp_path / "dait-s0"))
    report = make_report([run])
    assert report.figures["table"][0]["top1"]["sd"] is None
    assert [row["what"] for row in report.figures["left_out"]] == ["dait-s0"]
    assert "Heatmaps of test images are shown of whole studies" in report.html


def test_studies_are_compared_as_far_as_they_can_be(study: Path, tmp_path: Path) -> None:
    larger = Path(shutil.copytree(study, tmp_path / "larger"))
    _change(larger, lambda recipe: recipe["intermediate"].update(name="resnet14t"))
    other = Path(shutil.copytree(study, tmp_path / "other"))
    _change(other, lambda recipe: recipe["data"].update(seed=1))
    material = gather([study, larger, other])
    assert [test.title for test in material.tests] == [
        "fieldguide (seed 0)",
        "fieldguide (seed 1)",
    ]
    both = material.tests[0]
    assert {name: base.name for name, base in both.bases.items()} == {
        f"{place}/{arm}": f"{place}/direct"
        for place in ("study", "larger")
        for arm in ("independent", "dait")
    }
    html = make_report([study, larger], images=1).html
    assert "Bars of DAIT&#39;s test top-1 by intermediate teacher: resnet10t" in html
    assert "resnet14t" in html


def test_two_studies_of_one_name_are_told_apart(study: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(study, tmp_path / study.name))
    (test,) = gather([study, again]).tests
    titles = [test.title_of(group) for group in test.groups]
    assert len(set(titles)) == len(titles) == 6
    assert {"study: DAIT", "study: DAIT (2)"} < set(titles)


def test_what_a_user_can_mend_is_a_sentence(study: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither"):
        make_report([tmp_path])
    with pytest.raises(UserError, match="There is no arm 'kd'"):
        gather([study], against="kd")


def _change(study: Path, change: Callable[[dict], None]) -> None:
    """Change the recipe of a study and of all its runs."""
    described = json.loads((study / "study.json").read_text())
    change(described["recipe"])
    (study / "study.json").write_text(json.dumps(described))
    for path in study.glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config))
