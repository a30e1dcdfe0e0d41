"""The named endpoints, asked as a program asks them: through ``gradio_client``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from app.config import SPACE_LIMITS, AppConfig, hide_paths
from app.page import build_page
from app.queue.training_queue import TrainingQueue

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def client(app_address: str) -> Client:
    return Client(app_address, verbose=False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def finished(client: Client) -> dict[str, Any]:
    studies = client.predict(api_name="/status")
    return next(study for study in studies if study["state"] == "finished")


def said(client: Client, *values: Any, **named: Any) -> str:
    """The sentence that a wrong question is answered with; it must name no path of a machine."""
    with pytest.raises(AppError) as found:
        client.predict(*values, **named)
    sentence = str(found.value)
    assert "Traceback" not in sentence and "/tmp" not in sentence and "/assets" not in sentence
    return sentence


def endpoint(config: AppConfig, name: str) -> Any:
    page = build_page(config, TrainingQueue(config.runs))
    return next(fn.fn for fn in page.fns.values() if fn.api_name == name)


@pytest.mark.slow
def test_photographs_are_predicted_and_the_unreadable_one_is_named(
    client: Client, photo: Path
) -> None:
    broken = photo.with_name("words.jpg")
    broken.write_text("words and nothing but words")
    study = finished(client)["study"]
    found = client.predict(
        study=study, photos=[handle_file(photo), handle_file(broken)], api_name="/predict"
    )
    (image,) = found["images"]
    assert image["image"] == "photo.png" and len(image["networks"]) >= 3
    for network in image["networks"]:
        shares = [answer["probability"] for answer in network["top"]]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1.001
        assert network["latency_ms"] > 0
    (problem,) = found["problems"]
    assert problem.startswith("words.jpg is a text file")


@pytest.mark.slow
def test_an_explanation_has_the_heatmap_of_the_class_that_was_asked_for(
    client: Client, photo: Path
) -> None:
    study = finished(client)["study"]
    requested = {"study": study, "photo": handle_file(photo), "api_name": "/explain"}
    found = client.predict(**requested)
    key = found["networks"][0]["top"][-1]["key"]
    other = client.predict(**requested, method="layercam", target=key)
    for network in other["networks"]:
        assert network["target"]["key"] == key
        heat = network["heatmap"]
        assert network["note"] or heat is None or np.min(heat) >= 0
        assert network["picture"].startswith("data:image/png;base64,")
    assert any(network["heatmap"] for network in other["networks"])
    assert "no class 'penguin'" in said(client, **requested, target="penguin")
    assert "heatmap method" in said(client, **requested, method="guess")


@pytest.mark.slow
def test_the_table_is_that_of_the_page(client: Client) -> None:
    study = finished(client)
    rows = client.predict(study["study"], api_name="/compare")
    assert {row["role"] for row in rows} >= set(study["arms"])
    by_role = {row["role"]: row for row in rows}
    assert by_role["direct"]["gain"] is None and by_role["dait"]["mcnemar_p"] is not None
    assert "no run to open with seed 77" in said(client, study["study"], 77, api_name="/compare")


@pytest.mark.slow
def test_a_training_is_started_and_stopped(client: Client) -> None:
    begun = client.predict(
        recipe="tiny", epochs=500, arms=["independent"], seeds=1, api_name="/start"
    )
    assert begun["arms"] == ["independent"] and begun["state"] in ("queued", "preparing")
    (seen,) = client.predict(begun["study"], api_name="/status")
    assert seen["study"] == begun["study"] and not seen["shipped"]
    assert client.predict(begun["study"], api_name="/stop")["state"] == "stopped"
    assert "is stopped" in said(client, begun["study"], api_name="/stop")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "named", "sentence"),
    [
        (("../../etc",), {"api_name": "/compare"}, "not the name of a run"),
        (("demo", [1]), {"api_name": "/compare"}, "seed: give a whole number"),
        ((7,), {"api_name": "/status"}, "Choose a study first"),
        (("nothing",), {"api_name": "/stop"}, "not exist any more"),
        ((), {"epochs": "many", "api_name": "/start"}, "Epochs: give a whole number"),
        ((), {"arms": "all", "api_name": "/start"}, "at least one arm"),
        ((), {"recipe": "../x.yaml", "api_name": "/start"}, "Choose a recipe"),
        (("demo", None), {"api_name": "/predict"}, "Choose a photograph first"),
    ],
)
def test_a_wrong_question_gets_a_sentence(
    client: Client, values: tuple[Any, ...], named: dict[str, Any], sentence: str
) -> None:
    assert sentence in said(client, *values, **named)


def test_a_space_keeps_its_limits_for_programs_too(config: AppConfig) -> None:
    space = replace(config, limits=SPACE_LIMITS)
    with pytest.raises(gr.Error, match="from 1 to 5, not 50"):
        endpoint(space, "start")(recipe="tiny", epochs=50)
    assert TrainingQueue(config.runs).waiting() == []


def test_a_sentence_tells_no_path(config: AppConfig) -> None:
    runs = config.runs.path
    assert hide_paths(f"{runs / 'a' / 'study.json'} is damaged") == "a/study.json is damaged"
    assert hide_paths("‘/home/me/x.zip’ and/or 3/4 of https://a.b/c") == (
        "‘x.zip’ and/or 3/4 of https://a.b/c"
    )


@pytest.mark.slow
def test_a_request_without_the_client_gets_no_file_of_the_machine(
    client: Client, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (40, 40), (12, 200, 34)).save(secret)
    study, address = finished(client)["study"], client.src.rstrip("/")
    for path in (secret, Path(__file__).parents[3] / "requirements.txt", Path("/etc/passwd")):
        for told in ({"path": str(path)}, {"path": "photo.png", "url": f"file://{path}"}):
            photo = {**told, "meta": {"_type": "gradio.FileData"}}
            answer = call_raw(f"{address}/gradio_api/call/predict", [study, [photo]])
            assert "event: error" in answer and "event: complete" not in answer
            assert str(path) not in answer and "root:" not in answer


def call_raw(address: str, data: list[Any]) -> str:
    """What the server streams for a call that was posted by hand."""
    with httpx.Client(timeout=120) as http:
        event = http.post(address, json={"data": data}).raise_for_status().json()["event_id"]
        return http.get(f"{address}/{event}").text
