"""What the Train tab says of a chosen network."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from app.config import AppConfig
from app.train.form import DataSelection
from app.train.network_box import network_lines
from app.train.network_facts import NetworkMeasurements, NetworkQuery, facts_html
from dait.models.spec import NetworkSpec
from dait.teachers.prompts import Prompts

SECONDS = 120
DILATED = NetworkSpec(name="resnet10t", output_stride=8).model_dump_json()


def said(config: AppConfig, *values: object) -> list[str]:
    """The lines once every network has been looked at."""
    looks = NetworkMeasurements()
    deadline = time.monotonic() + SECONDS
    lines, busy = network_lines(config, looks, *values)
    while busy and time.monotonic() < deadline:
        lines, busy = network_lines(config, looks, *values)
    assert not busy
    return lines


def html(name: str | None, usual: str = DILATED, size: int = 48) -> str:
    wanted = NetworkQuery(name, usual, 6, size)
    work = NetworkMeasurements().of(wanted)
    assert work.wait(SECONDS)
    return facts_html(wanted, work)


def test_the_recipes_own_networks_are_told(empty_config: AppConfig) -> None:
    student, intermediate = said(empty_config, "tiny", "", None, "", "")
    assert student == intermediate
    assert "<b>resnet10t</b>" in student and "head for 6 classes" in student
    assert "image of 48 px" in student and "map 32 × 6 × 6" in student
    assert "coarse" not in student


def test_a_chosen_network_is_told_at_the_recipes_stride() -> None:
    line = html("regnetx_002")
    assert "map 368 × 6 × 6" in line and "learns steadily" in line


def test_a_coarse_map_and_a_refused_stride_are_told() -> None:
    line = html("lcnet_050")
    assert "map 256 × 2 × 2" in line
    assert "cannot be dilated to the recipe's stride of 8" in line
    assert "Heatmaps will be coarse: the last feature map has 2 × 2 positions" in line


def test_faults_are_sentences_at_the_field(empty_config: AppConfig) -> None:
    assert "Did you mean" in html("lcnet_036")
    assert "does not take images of 48 px" in html("halonet26t")
    assert "<b>" not in html("<b>evil</b>") and "not a network name" in html("<b>evil</b>")
    # Strangers may choose the curated ones alone.
    student, intermediate = said(empty_config, "tiny", "", None, "lcnet_035", "")
    assert "Choose the network from the list" in student and "resnet10t" in intermediate


def test_what_the_data_tab_hands_over_sets_the_size(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path})
    handed = DataSelection("folder:fruit", 64, "imagenet-lite0", Prompts())
    student, _ = said(config, "tiny", "folder:fruit", handed, "lcnet_050", "")
    assert "image of 64 px" in student and "head for 20 classes" in student
    student, _ = said(config, "tiny", "", handed, "lcnet_050", "")
    assert "image of 48 px" in student


def test_a_recipe_that_is_none_says_nothing(empty_config: AppConfig) -> None:
    assert said(empty_config, "../evil", "", None, "", "") == ["", ""]


def test_visitors_share_a_look() -> None:
    looks = NetworkMeasurements()
    wanted = NetworkQuery("lcnet_050", DILATED, 6, 48)
    first = looks.of(wanted)
    assert looks.of(NetworkQuery("lcnet_050", DILATED, 6, 48)) is first
    assert first.wait(SECONDS)
    assert looks.of(wanted) is first
