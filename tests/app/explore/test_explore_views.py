"""What the Explore tab says of a study's teacher: figures as they were measured, and answers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.explore.views import BIRD_EXAMPLES, MATCHES, ExploreViews
from app.studies.entries import finished_studies
from dait.errors import UserError
from dait.evaluation.results.probes import (
    NEW_BIRDS,
    TRAIN,
    VERSION,
    AttributeFigures,
    AttributeScore,
    NetworkFigures,
    ProbeResults,
    Proportion,
    Reading,
    Retrieval,
    ZeroShotShares,
)

QUERY = "a bird with a red crown"


def share(value: float, count: int = 200) -> Proportion:
    return Proportion(value=value, low=max(0, value - 0.05), high=min(1, value + 0.05), count=count)


def network(key: str, role: str, title: str, seed: int | None, habitat: float) -> NetworkFigures:
    readings = tuple(
        Reading(
            target=target,
            fitted_to=fitted_to,
            values=values,
            accuracy=share(habitat),
            majority=0.19,
            cost=0.1,
        )
        for target, fitted_to, values in (
            ("habitat", NEW_BIRDS, 6),
            ("light", TRAIN, 3),
            ("pose", TRAIN, 3),
            ("habitat", TRAIN, 6),
            ("class", TRAIN, 4),
        )
    )
    return NetworkFigures(key=key, role=role, title=title, seed=seed, width=8, readings=readings)


@pytest.fixture
def knowledge() -> ProbeResults:
    score = AttributeScore(accuracy=share(0.4567), majority=0.3)
    pairs = {1: share(0.321, 1000), 5: share(0.654, 1000)}
    return ProbeResults(
        version=VERSION,
        made_of="0",
        teacher="a <teacher>",
        weights_hash="0",
        data="fieldguide",
        image_size=48,
        zero_shot=ZeroShotShares(split="test", classes=4, top1=share(0.5123), top5=share(1.0)),
        retrieval=Retrieval(
            pairs=1000, image_to_text=pairs, text_to_image=pairs, unambiguous=0.987
        ),
        attributes=(AttributeFigures(name="crown", values=6, species=score, birds=score),),
        networks=(
            network("vlm", "vlm", "Frozen teacher", None, 0.812),
            network("dait-s0", "dait", "DAIT", 0, 0.30),
            network("dait-s1", "dait", "DAIT", 1, 0.40),
        ),
    )


@pytest.fixture
def study_id(config: AppConfig) -> str:
    return finished_studies(config)[0].id


@pytest.fixture
def views(config: AppConfig) -> ExploreViews:
    return ExploreViews(config, Comparisons(config))


def keep(config: AppConfig, study_id: str, text: str) -> None:
    (config.runs.path / study_id / "knowledge.json").write_text(text)


def test_a_study_that_was_measured_shows_its_figures(
    config: AppConfig, study_id: str, views: ExploreViews, knowledge: ProbeResults
) -> None:
    keep(config, study_id, knowledge.model_dump_json())
    found = views.figures(study_id, 2)
    assert "a &lt;teacher&gt;" in found.about and "<teacher>" not in found.about
    for figure in ("51.2", "32.1", "65.4", "98.7"):
        assert figure in found.about, figure
    assert found.attributes.count('<th scope="row">') == 1 and "45.7" in found.attributes
    bars = json.loads(found.bars or "")
    named = [trace["name"] for trace in bars["data"]]
    assert "chance" in named and len(named) == 3
    assert found.why_no_text == "" and found.examples == BIRD_EXAMPLES


def test_what_is_read_is_the_mean_over_seeds_beside_guessing(
    config: AppConfig, study_id: str, views: ExploreViews, knowledge: ProbeResults
) -> None:
    keep(config, study_id, knowledge.model_dump_json())
    table = views.figures(study_id, 2).readings
    columns = re.findall(r'<th scope="col">([^<]*)</th>', table)
    assert columns == ["Network", "Class", "Habitat", "Habitat, from new birds", "Pose", "Light"]
    rows = {
        re.sub("<[^>]*>", "", title): re.findall(r"<span>([^<]*)", cells)
        for title, cells in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table)
    }
    plain = {name: [text.replace("\u00a0", " ") for text in texts] for name, texts in rows.items()}
    assert plain["Frozen teacher"] == ["81.2 %"] * 5
    assert plain["DAIT"] == ["35.0 %"] * 5
    assert plain["Chance"] == ["25.0 %", "16.7 %", "16.7 %", "33.3 %", "33.3 %"]
    assert plain["Most common value"] == ["19.0 %"] * 5
    assert "over 2 seeds" in table


def test_a_study_that_was_not_measured_says_how(
    config: AppConfig, study_id: str, views: ExploreViews
) -> None:
    found = views.figures(study_id, 2)
    assert found.bars is None and found.attributes == found.readings == ""
    teacher = json.loads((config.runs.path / study_id / "study.json").read_text())["teacher"]
    assert f"{100 * teacher['zero_shot_top1']:.1f}" in found.about
    assert f"teacher probe {teacher['name']} --study {study_id}" in found.about


def test_a_damaged_file_of_figures_is_said(
    config: AppConfig, study_id: str, views: ExploreViews
) -> None:
    keep(config, study_id, f'{{"version": {VERSION}}}')
    with pytest.raises(UserError, match=r"knowledge\.json is damaged"):
        views.figures(study_id, 2)


def test_a_query_finds_test_images_best_first(study_id: str, views: ExploreViews) -> None:
    found = views.ask(study_id, QUERY).matches
    assert found.count("<li>") == MATCHES  # the study has just so many
    cosines = [float(text) for text in re.findall(r">(-?\d\.\d{3})<", found)]
    assert len(cosines) == MATCHES and cosines == sorted(cosines, reverse=True)
    assert found.count('alt="Test image ') == MATCHES and "data:image/jpeg" in found
    assert views.ask(study_id, QUERY).matches == found
    assert views.ask(study_id, "a duck").matches != found


def test_a_query_is_shown_as_it_was_typed_and_not_run(study_id: str, views: ExploreViews) -> None:
    found = views.ask(study_id, "<img src=x onerror=alert(1)> bird").matches
    assert "<img src=x" not in found and "&lt;img src=x onerror" in found


@pytest.mark.parametrize("text", ["", "  ", None, 7, "x" * 10_000])
def test_a_query_that_will_not_do_is_refused(
    study_id: str, views: ExploreViews, text: object
) -> None:
    with pytest.raises(UserError, match=r"red crown|at most [\d,]+ are"):
        views.ask(study_id, text)


@pytest.mark.parametrize("study", [None, 3, "../..", "gone"])
def test_a_study_that_is_not_there_is_refused(views: ExploreViews, study: object) -> None:
    for ask in (lambda: views.ask(study, QUERY), lambda: views.figures(study, 2)):
        with pytest.raises(UserError):
            ask()


def change_teacher(path: Path, recipe_name: str | None = None, **facts: object) -> None:
    file = path / "study.json"
    described = json.loads(file.read_text())
    described["teacher"].update(facts)
    if recipe_name is not None:
        described["recipe"]["teacher"]["name"] = recipe_name
    file.write_text(json.dumps(described))


def test_a_teacher_that_has_changed_is_not_asked(
    config: AppConfig, study_id: str, views: ExploreViews
) -> None:
    change_teacher(config.runs.path / study_id, weights_hash="0" * 64)
    with pytest.raises(UserError, match="has changed since this study was trained"):
        views.ask(study_id, QUERY)


def test_a_teacher_that_cannot_be_loaded_says_why(
    config: AppConfig, study_id: str, views: ExploreViews, tmp_path: Path
) -> None:
    missing = tmp_path / "nothing"
    change_teacher(config.runs.path / study_id, f"openclip-local:{missing}")
    for _ in range(2):  # it is tried anew: the folder may have come back
        with pytest.raises(UserError, match="is not an OpenCLIP folder"):
            views.ask(study_id, QUERY)
    own = json.loads((config.runs.path / study_id / "study.json").read_text())["teacher"]["name"]
    shutil.copytree(own.removeprefix("openclip-local:"), missing)
    assert "<li>" in views.ask(study_id, QUERY).matches


def test_a_teacher_that_reads_nothing_says_why(
    config: AppConfig, study_id: str, views: ExploreViews
) -> None:
    change_teacher(config.runs.path / study_id, name="imagenet-lite0", reads_text=False)
    assert "imagenet-lite0 sees images only" in views.figures(study_id, 2).why_no_text


def test_other_data_brings_its_own_examples(
    config: AppConfig, study_id: str, views: ExploreViews
) -> None:
    file = config.runs.path / study_id / "study.json"
    described = json.loads(file.read_text())
    described["recipe"]["data"]["source"] = "pets"
    file.write_text(json.dumps(described))
    names = [row["name"] for row in described["classes"]]
    assert views.figures(study_id, 2).examples == tuple(f"a photo of a {name}" for name in names)
