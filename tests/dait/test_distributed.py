"""Two and four processes on one machine's CPU train what one process trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from apart import start_together
from shared_training import train_share, train_some

from dait import distributed
from dait.distributed import ALONE, World, check_batch, gathered, rows_of, sum_over
from dait.errors import UserError

pytestmark = pytest.mark.slow


def processes(folder: Path, count: int) -> list[dict[str, Any]]:
    """What each of ``count`` processes found."""
    for process in start_together(folder, count, train_share, folder):
        assert process.ended() == 0, process.said
    return [json.loads((folder / f"{count}-{rank}.json").read_text()) for rank in range(count)]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Of one process, and of those that together did the same."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("processes")
    return [train_some(folder), *processes(folder, request.param)]


@pytest.mark.parametrize("name", ["plain", "pieces"])
def test_the_loss_curve_of_several_is_that_of_one(found: list[dict[str, Any]], name: str) -> None:
    one, main, *_ = found
    assert len(one[name]["steps"]) == 6 and len(set(one[name]["steps"])) == 6
    assert main[name]["steps"] == pytest.approx(one[name]["steps"], rel=1e-4)
    for epoch, expected in zip(main[name]["epochs"], one[name]["epochs"], strict=True):
        assert epoch == pytest.approx(expected, rel=1e-4)
    assert main["weights"] == pytest.approx(one["weights"], rel=1e-3, abs=1e-3)
    assert main["logits"] == pytest.approx(one["logits"], rel=1e-3, abs=1e-3)


def test_one_speaks_and_writes_and_all_know(found: list[dict[str, Any]]) -> None:
    one, main, *others = found
    assert one["is_main"] and main["is_main"]
    assert {item["device"] for item in found} == {"cpu"}
    for other in others:
        assert not other["is_main"]
        assert other["plain"] == {"steps": [], "epochs": [], "val": main["plain"]["val"]}
        assert other["weights"] == main["weights"] and other["logits"] == main["logits"]
        # Each kept BatchNorm's figures of its own share: they are brought together in the end.
        assert other["normed"] == main["normed"]
        assert main["files"] == other["files"] == ["shared.pt", "shared.pt.previous"]


def test_what_the_main_process_decides_all_know(found: list[dict[str, Any]]) -> None:
    _, *ours = found
    assert [item["decided"] for item in ours] == [0] * len(ours)
    assert {item["refused"] for item in ours} == {"process 0 refuses"}


def test_types_are_summed_in_the_order_of_the_tensors(found: list[dict[str, Any]]) -> None:
    """In each process's own order of a set, two of them could wait for one another."""
    _, *ours = found
    dtypes = ["float32", "float64", "int64", "float16", "int32", "bfloat16"]
    assert [item["dtypes"] for item in ours] == [dtypes] * len(ours)


def test_several_go_on_where_one_was_cut_off(found: list[dict[str, Any]]) -> None:
    one, main, *_ = found
    assert len(one["cut"]["steps"]) == 4
    # The fourth step was told before it was kept, so it is taken again.
    assert main["rest"]["steps"] == pytest.approx(one["plain"]["steps"][3:], rel=1e-4)


def test_rows_are_dealt_out_whole() -> None:
    for count in (0, 1, 5, 24):
        for processes in (1, 2, 3, 7):
            parts = [rows_of(World(k, processes), count) for k in range(processes)]
            assert [row for part in parts for row in part] == list(range(count))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_there_is_nothing_to_add_up() -> None:
    rows = torch.rand(3, 2)
    before = rows.clone()
    sum_over(ALONE, [rows])
    assert torch.equal(rows, before) and gathered(ALONE, rows, 3) is rows
    assert distributed.this_world() == ALONE


def test_a_batch_is_not_smaller_than_the_processes_are_many() -> None:
    check_batch(World(0, 4), 4)
    with pytest.raises(UserError, match="5 processes cannot share a batch of 4 images"):
        check_batch(World(0, 5), 4)


def test_the_device_is_the_best_that_is_there_or_the_chosen_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DAIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert distributed.device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert distributed.device() == torch.device("mps")
    monkeypatch.setenv("DAIT_DEVICE", "cpu")
    assert distributed.device() == torch.device("cpu")
    monkeypatch.setenv("DAIT_DEVICE", "cuda")
    with pytest.raises(UserError, match="DAIT_DEVICE is 'cuda', and here are: mps, cpu"):
        distributed.device()
