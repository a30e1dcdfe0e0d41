"""That the figures are there and that both loops train; how large they are is not tested."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from benchmarks import train as module
from benchmarks.train import STAGES, measure_train
from dait.cli import main
from dait.config.recipe import Recipe, load_recipe


@pytest.fixture(scope="module")
def small() -> Recipe:
    changes = {"data.size": 32, "train.batch_size": 4, "train.warmup_epochs": 0}
    return load_recipe("tiny").changed(changes)


@pytest.mark.parametrize("name", STAGES)
def test_both_loops_take_the_same_steps(name: str, small: Recipe, tmp_path: Path) -> None:
    measured = module._Measured(name, small, steps=2, rounds=2, folder=tmp_path)
    bare = measured._bare()
    before = {key: value.clone() for key, value in measured.task.state_dict().items()}
    calls: list[torch.Tensor] = []
    measured.task.register_forward_hook(lambda *_: calls.append(torch.empty(0)))
    bare()  # a copy of its own
    assert not calls
    assert all(torch.equal(before[key], v) for key, v in measured.task.state_dict().items())
    measured.run()
    assert len(measured.loop) == len(measured.bare) == 3
    assert len(calls) == 2 * 3 * 2  # a copy has the hook too: two loops, three epochs, two steps
    assert all(seconds.wall > 0 and seconds.processor > 0 for seconds in measured.loop)
    assert not all(torch.equal(before[key], v) for key, v in measured.task.state_dict().items())
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3


@pytest.mark.slow
def test_the_command_ends_in_a_line_of_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    text = load_recipe("tiny").changed({"data.size": 32, "train.batch_size": 4}).to_yaml()
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "STAGES", {"direct": STAGES["direct"]})
    words = ["bench", "train", "--recipe", str(file), "--steps", "1", "--rounds", "1", "--json"]
    before = signal.getsignal(signal.SIGTERM)
    ballast = torch.ones(1 << 26)  # a quarter of a gigabyte that the measured process has not
    try:
        assert main(words) == 0
        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert figures["views_per_second"] > 0 and figures["device"] == "cpu"
        assert main([*words, "--device", "mps"]) == 2
        assert "not on mps" in capsys.readouterr().err
        assert figures["direct"] > 0 and figures["direct_cpu"] > 0
        assert 50 < figures["direct_mib"] < module.peak_memory_bytes() / 2**20 - 50
        assert (figures["batch"], figures["steps"], figures["views"]) == (4, 1, "full")
        assert main(["bench", "train", "--steps", "0"]) == 2
        assert "--steps is a number from 1" in capsys.readouterr().err
        assert ballast.numel() == 1 << 26
    finally:
        signal.signal(signal.SIGTERM, before)


def test_epochs_that_make_their_views_count_as_often_as_in_the_recipe(small: Recipe) -> None:
    def making(epochs: int, distinct: int, rounds: int) -> int:
        recipe = small.changed({"train.epochs": epochs, "views.distinct": distinct})
        return module._making(recipe, rounds)

    assert making(20, 4, rounds=9) == 2  # 1.8
    assert making(20, 5, rounds=8) == 2
    assert making(20, 0, rounds=9) == making(20, 30, rounds=9) == 9
    assert making(100, 1, rounds=1) == 1
    # One second bare; two in an epoch that makes views, one in each of three others.
    assert module._weighted([0.5, 1.0, 1.0, 1.0], making=1) == pytest.approx(4 / 5)
    assert module._weighted([0.5, 0.7, 0.5], making=3) == pytest.approx(0.5)


def test_views_that_come_again_are_replayed(small: Recipe, tmp_path: Path) -> None:
    recipe = small.changed({"train.epochs": 20, "views.distinct": 4})
    measured = module._Measured("independent", recipe, steps=1, rounds=9, folder=tmp_path)
    assert [measured.stage.view(epoch) for epoch in range(10)] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_a_stage_finds_what_an_earlier_one_would_have_learned(
    small: Recipe, tmp_path: Path
) -> None:
    recipe = small.changed({"dait.text_weight": 4})
    measured = module._Measured("dait_stage2", recipe, 1, 1, tmp_path)
    measured.run()
    assert len(measured.loop) == 2


def test_the_batch_can_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STAGES", {})
    assert measure_train("tiny", batch=5)["batch"] == 5
