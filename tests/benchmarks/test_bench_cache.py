"""That the figures are there and follow from one another; how large they are is not tested."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.cache import measure_cache
from benchmarks.embed import measure_embedding
from benchmarks.stand_ins import Noise
from benchmarks.views import measure_views, parse_views
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import ignore


def test_embedding_is_compared_with_the_models_own_loop(clip_folder: Path) -> None:
    teacher = f"openclip-local:{clip_folder}"
    figures = measure_embedding(teacher, images=10, batch=4, size=48, repeats=1)
    assert figures["ratio"] > 0 and figures["ratio_cpu"] > 0
    assert (figures["images"], figures["batch"], figures["size"]) == (10, 4, 48)


def test_the_pipelines_figures_follow_from_its_parts(clip_folder: Path) -> None:
    found = measure_cache(
        f"openclip-local:{clip_folder}",
        views=2, epochs=10, images=50, batch=2, steps=1, repeats=1,
    )  # fmt: skip
    macs, each = found["macs"], found["seconds_per_image"]
    always = macs["stage1"] + macs["stage2"]
    with_teacher = 10 * (macs["teacher"] + always)
    assert found["limit"] == pytest.approx(with_teacher / (2 * macs["teacher"] + 10 * always))
    # 5 tokens of width 16 in one block, and the patches; a fused kernel would hide most of it.
    block, patches = 5 * (12 * 16 * 16 + 2 * 5 * 16), 4 * 16 * 16 * 3 * 16
    assert macs["teacher"] == pytest.approx(block + patches + 16 * 12, rel=0.02)
    live = 50 * 10 * (each["stage1_live"] + each["stage2"])
    kept = 50 * (2 * each["build"] + 10 * (each["stage1_cached"] + each["stage2"]))
    assert found["seconds_live"] == pytest.approx(live)
    assert found["seconds_cached"] == pytest.approx(kept)
    assert found["speedup"] == pytest.approx(live / kept)
    assert found["bytes"] == 2 * 50 * 12 * 2 and found["measured_steps"] == 1


@pytest.mark.slow
def test_the_first_stage_counts_its_backward_pass(clip_folder: Path) -> None:
    """A stage that trains costs about three times its forward pass (Kaplan et al. 2020)."""
    from dait.config.recipe import load_recipe
    from dait.models.cost import count_macs
    from dait.models.network import build_network

    found = measure_cache(
        f"openclip-local:{clip_folder}",
        views=1, epochs=1, images=1, batch=2, steps=1, repeats=1,
    )["macs"]  # fmt: skip
    recipe = load_recipe("demo")
    teacher, student = (
        count_macs(build_network(spec, 40, recipe.data.size))
        for spec in (recipe.intermediate, recipe.student)
    )
    assert found["stage1"] == pytest.approx(3 * teacher, rel=0.07)
    assert found["stage2"] == pytest.approx(teacher + 3 * student, rel=0.07)


@pytest.mark.parametrize("text", ["", "0", "-1", "1,two", "1.5"])
def test_numbers_of_views(text: str) -> None:
    with pytest.raises(UserError, match="numbers of views from 1, or live"):
        parse_views(text)
    assert parse_views("1, 2,live,2") == ["1", "2", "live"]


@pytest.mark.slow
def test_accuracy_against_views(small_recipe: Recipe) -> None:
    before, told = os.environ["DAIT_CACHE"], list[str]()
    rows = measure_views(
        small_recipe, ["1", "2", "live"], [0, 1], "dait", ignore, lambda r: told.append(r["views"])
    )
    assert os.environ["DAIT_CACHE"] == before and told == ["1", "2", "live"]
    one, two, live = rows
    assert 0 < one["bytes"] < two["bytes"] and live["bytes"] == 0
    assert all(len(row["top1s"]) == 2 and row["seconds"] > 0 for row in rows)
    assert all(0 <= row["intermediate_top1"] <= 1 for row in rows)
    assert two["top1s"] == pytest.approx(live["top1s"], abs=1 / 18 + 1e-6)  # K = epochs


def test_noise_on_disk_is_the_noise_in_memory(tmp_path: Path) -> None:
    kept, plain = Noise(5, 2, 8, tmp_path).split("train"), Noise(5, 2, 8).split("train")
    assert (kept.images == plain.images).all() and not kept.images.flags.writeable


def test_the_command_ends_in_a_line_of_json(
    clip_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import signal

    from dait.cli import main

    before = signal.getsignal(signal.SIGTERM)
    name = f"openclip-local:{clip_folder}"
    words = ["--teacher", name, "--images", "4", "--batch", "2", "--repeats", "1", "--json"]
    try:
        assert main(["bench", "embed", *words]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["ratio"] > 0
        assert main(["bench", "embed", "--images", "0"]) == 2
        assert "--images is a number from 1" in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGTERM, before)
