"""What the Predict tab says of photographs."""

from __future__ import annotations

import base64
import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.compare.views import CompareViews
from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.predict.html import batch_html, photo_html
from app.predict.views import MAX_PHOTOS, PredictViews
from app.studies.entries import finished_studies
from app.ui.photo_uploads import read_photo
from dait.errors import UserError
from dait.runs.folder import RunsRoot

NETWORKS = 5


@pytest.fixture
def views(config: AppConfig) -> PredictViews:
    return PredictViews(Comparisons(config))


@pytest.fixture
def study_id(config: AppConfig) -> str:
    return finished_studies(config)[0].id


@pytest.fixture
def photo(tmp_path: Path) -> str:
    return drawn(tmp_path / "mine.png")


def drawn(path: Path, seed: int = 0) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def test_one_photograph_gets_a_card_from_every_network(
    views: PredictViews, study_id: str, photo: str
) -> None:
    page = photo_html(views.one(study_id, photo))
    assert page.count("<figure") == page.count("Latency ") - 1 == NETWORKS
    assert page.count("<li") == NETWORKS * 4  # there are four classes
    assert page.count('class="heat"') + page.count("map was empty") == NETWORKS


def test_several_photographs_get_a_table_and_a_file(
    views: PredictViews, study_id: str, photo: str, tmp_path: Path
) -> None:
    formula = drawn(tmp_path / "=1+1.png", seed=1)
    steps: list[tuple[int, int]] = []
    found = views.many(study_id, [photo, formula], lambda done, total: steps.append((done, total)))
    assert steps == [(0, 2), (1, 2), (2, 2)]
    page = batch_html(found)
    assert page.count('<th scope="row">') == 2
    address = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    assert address is not None
    lines = list(csv.DictReader(io.StringIO(base64.b64decode(address[1]).decode())))
    assert len(lines) == 2 * NETWORKS * 4
    assert {line["image"] for line in lines} == {"mine.png", "'=1+1.png"}
    top = found.images[0]["networks"][0]["top"][0]
    assert lines[0]["class"] == top["key"]
    assert float(lines[0]["probability"]) == pytest.approx(top["probability"], abs=1e-6)


def test_a_file_that_is_no_photograph_does_not_stop_the_others(
    views: PredictViews, study_id: str, photo: str, tmp_path: Path
) -> None:
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "words.jpg").write_text("words and nothing but words")
    (tmp_path / "torn.png").write_bytes(Path(photo).read_bytes()[:300])
    Image.new("1", (10_000, 6_000)).save(tmp_path / "huge.png")
    bad = [str(tmp_path / name) for name in ("drawing.svg", "words.jpg", "torn.png", "huge.png")]
    found = views.many(study_id, [*bad, photo])
    assert [image["image"] for image in found.images] == ["mine.png"]
    assert found.indices == [4] and 'data-photo="4"' in batch_html(found)
    for sentence, name, says in zip(
        found.problems,
        ("drawing.svg", "words.jpg", "torn.png", "huge.png"),
        ("SVG", "text file", "damaged", "60.0 million pixels"),
        strict=True,
    ):
        assert sentence.startswith(f"{name} ") and says in sentence
    with pytest.raises(UserError, match=r"SVG drawing.*\n.*text file"):
        views.many(study_id, bad)
    with pytest.raises(UserError, match=r"^words\.jpg is a text file"):
        views.one(study_id, bad[1])


@pytest.mark.parametrize("files", [None, [], "", [7], [None]])
def test_no_photograph_is_said(views: PredictViews, study_id: str, files: object) -> None:
    with pytest.raises(UserError, match="Choose a photograph first"):
        views.many(study_id, files)


def test_too_many_photographs_are_refused(views: PredictViews, study_id: str, photo: str) -> None:
    with pytest.raises(UserError, match=f"{MAX_PHOTOS + 1} photographs"):
        views.many(study_id, [photo] * (MAX_PHOTOS + 1))


def test_a_network_that_is_gone_is_named_and_the_others_answer(
    views: PredictViews, config: AppConfig, study_id: str, photo: str
) -> None:
    (config.runs.path / study_id / "dait-s0" / "student.safetensors").unlink()
    found = views.many(study_id, [photo])
    assert len(found.images[0]["networks"]) == NETWORKS - 1
    (sentence,) = found.left_out
    assert sentence.startswith("Without DAIT: ")
    assert batch_html(found).count("<td") == NETWORKS - 1


def test_photographs_together_are_answered_as_each_alone(
    views: PredictViews, study_id: str, tmp_path: Path
) -> None:
    photos = [drawn(tmp_path / f"{number}.png", number) for number in range(10)]
    network = views.comparisons.get(study_id).comparison
    assert network.load() == {}
    passes: list[int] = []
    first = network._running()._network(network.members[0].key)
    with first.register_forward_hook(lambda _, images, __: passes.append(len(images[0]))):
        together = views.many(study_id, [*photos, photos[0]])
    assert len(together.images) == len(together.thumbnails) == 11
    assert passes == [8, 3]
    for image, photo in zip(together.images, photos, strict=False):
        (alone,) = views.many(study_id, [photo]).images
        assert image["image"] == alone["image"]
        for mine, own in zip(image["networks"], alone["networks"], strict=True):
            assert mine["top"][0]["key"] == own["top"][0]["key"]
            shares = [[answer["probability"] for answer in n["top"]] for n in (mine, own)]
            assert shares[0] == pytest.approx(shares[1], abs=1e-4)


def test_predictions_get_into_no_heatmap(views: PredictViews, study_id: str, photo: str) -> None:
    comparison = views.comparisons.get(study_id).comparison
    image = read_photo(photo, comparison.image_size)
    expected = [found.raw for found in comparison.explain(image, "gradcam")]
    other = np.flip(image, 1).copy()
    with ThreadPoolExecutor(2) as pool:
        requested = pool.submit(lambda: [comparison.predict_batch([other]) for _ in range(40)])
        while not requested.done():
            for found, raw in zip(comparison.explain(image, "gradcam"), expected, strict=True):
                np.testing.assert_allclose(found.raw, raw, atol=1e-5)
        requested.result()


def test_a_photograph_from_another_world_is_said_to_be_one(tmp_path: Path) -> None:
    config = AppConfig(runs=RunsRoot(tmp_path / "runs"))  # and the studies that come along
    views = PredictViews(Comparisons(config))
    comparison = views.comparisons.get("demo").comparison
    noise, bird = drawn(tmp_path / "noise.png"), tmp_path / "bird.png"
    Image.fromarray(comparison.test_image(37)[0]).save(bird)
    said = photo_html(views.one("demo", noise))
    assert "Unlike anything trained on" in said
    assert "40 drawn birds" in said and 'data-tab="Train"' in said
    assert "Unlike anything" not in photo_html(views.one("demo", str(bird)))
    table = batch_html(views.many("demo", [noise, str(bird)]))
    assert table.count("unlike anything trained on") == 1
    compare = CompareViews(config)
    assert "Unlike anything trained on" in compare.rows("demo", None, (("upload", noise),))
    assert "Unlike anything" not in compare.rows("demo", None, (("upload", str(bird)),))
