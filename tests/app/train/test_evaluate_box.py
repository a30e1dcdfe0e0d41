"""A finished run on other images, from the Train tab."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.config import AppConfig
from app.export.bundles import Bundles
from app.train.evaluate_box import OWN, Evaluations, evaluation_html
from dait.errors import UserError
from dait.models.checkpoint import load_network

STUDY = "tiny-20260101-120000-0a1b2c3d"


def test_a_split_and_other_images(config: AppConfig, tmp_path: Path) -> None:
    key = load_network(config.runs.path / STUDY / "dait-s0" / "student.safetensors").classes[0]
    folder = tmp_path / "photos"
    for name in (key, "teapot"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (60, 60, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    config = AppConfig(runs=config.runs, shipped=config.shipped, data={"mine": folder})
    evaluations = Evaluations(config, Bundles(config))
    job = evaluations.jobs.start(*evaluations.task(STUDY, "dait-s0", f"{OWN}val"))
    assert job.wait(200) and job.result is not None, job.error
    html = evaluation_html(job.result)
    assert "--split val" in html and "Student" in html and "Intermediate" in html
    job = evaluations.jobs.start(*evaluations.task(STUDY, "dait-s0", "folder:mine"))
    assert job.wait(200) and job.result is not None, job.error
    assert "on 4 images of mine" in evaluation_html(job.result)


@pytest.mark.parametrize("on", [f"{OWN}unlabelled", "path:/etc", None, "cub-200-2011"])
def test_only_what_is_offered(config: AppConfig, on: object) -> None:
    with pytest.raises(UserError):
        Evaluations(config, Bundles(config)).task(STUDY, "dait-s0", on)
