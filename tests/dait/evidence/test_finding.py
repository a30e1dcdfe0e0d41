"""What a study found, from figures written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dait.config.arms import SUMMARIES
from dait.evaluation.metrics import mcnemar
from dait.evaluation.records import read_study
from dait.evidence.finding import (
    compare_arms,
    finding_basis,
    finding_sentence,
    read_finding,
)
from dait.runs.folder import StudyFolder

IMAGES = 200


def right(count: int, start: int = 0) -> np.ndarray:
    """``count`` of the images right, from ``start`` on."""
    return np.isin(np.arange(IMAGES), np.arange(start, start + count))


def shares(correct: dict[str, dict[int, np.ndarray]]) -> dict[str, dict[int, float]]:
    return {arm: {s: float(c.mean()) for s, c in own.items()} for arm, own in correct.items()}


def test_ahead_of_one_and_not_shown_of_the_other() -> None:
    correct = {
        "independent": {0: right(60), 1: right(62)},
        "direct": {0: right(118, 4), 1: right(121, 1)},
        "dait": {0: right(120), 1: right(120)},
    }
    found = compare_arms(shares(correct), correct, IMAGES)
    independent, direct = found.verdicts
    assert (independent.base, independent.outcome) == ("independent", "ahead")
    assert (direct.base, direct.outcome) == ("direct", "open")
    assert independent.gain == pytest.approx(0.295) and direct.gain == pytest.approx(0.0025)
    # Four tests in all: each p is corrected for them, and the weakest seed decides.
    single = [mcnemar(correct["dait"][s], correct["independent"][s]).p for s in (0, 1)]
    assert independent.p is not None and max(single) < independent.p <= 4 * max(single)
    assert [test.seed for test in found.tests] == [0, 1, 0, 1]
    said = finding_sentence(found)
    assert said.startswith("DAIT is ahead of the student that learns from labels alone (+29.5")
    assert "no difference between DAIT and direct distillation is shown (+0.3" in said
    assert "seeds 0 and 1, after Holm for 4 tests" in finding_basis(found)


def test_behind_is_said_as_plainly() -> None:
    correct = {"direct": {3: right(150)}, "dait": {3: right(100)}}
    found = compare_arms(shares(correct), correct, IMAGES)
    assert [verdict.outcome for verdict in found.verdicts] == ["behind"]
    assert finding_sentence(found).startswith("DAIT is behind direct distillation (−25.0 points, p")
    assert "One seed is a hint." in finding_basis(found)


def test_seeds_that_disagree_show_nothing() -> None:
    correct = {
        "direct": {0: right(60), 1: right(160)},
        "dait": {0: right(160), 1: right(80)},
    }
    (verdict,) = compare_arms(shares(correct), correct, IMAGES).verdicts
    assert verdict.outcome == "open" and verdict.gain == pytest.approx(0.05)


def test_another_arm_that_is_best_is_named() -> None:
    correct = {arm: {0: right(count)} for arm, count in (("direct", 90), ("dait", 100))}
    found = compare_arms({**shares(correct), "vl2lite": {0: 0.8}}, correct, IMAGES)
    basis = finding_basis(found)
    assert "VL2Lite" in basis and SUMMARIES["vl2lite"] in basis and "80.0" in basis
    assert "best" not in finding_basis(compare_arms(shares(correct), correct, IMAGES))


def test_what_is_not_tested_is_not_claimed() -> None:
    top1 = {"independent": {0: 0.5, 1: 0.6}, "dait": {0: 0.7, 1: 0.8}}
    found = compare_arms(top1, {}, IMAGES)
    assert [verdict.outcome for verdict in found.verdicts] == ["untested"]
    assert "is not tested" in finding_sentence(found) and "nothing is tested" in finding_basis(
        found
    )
    some = {"independent": {0: right(100)}, "dait": {0: right(140)}}
    tested = compare_arms(top1, some, IMAGES)
    assert "Of the other seeds" in finding_basis(tested)
    assert "ahead" in finding_sentence(tested) and "on seed 0 alone" in finding_sentence(tested)


def test_an_untested_seed_that_says_the_opposite_counts() -> None:
    top1 = {"independent": {0: 0.5, 1: 0.6}, "dait": {0: 0.7, 1: 0.59}}
    some = {"independent": {0: right(100)}, "dait": {0: right(140)}}
    assert [v.outcome for v in compare_arms(top1, some, IMAGES).verdicts] == ["open"]


@pytest.mark.parametrize(
    ("arms", "compared"),
    [
        (("independent", "direct", "vl2lite"), "vl2lite"),
        (("independent", "direct"), "direct"),
        (("dait",), ""),
        (("independent",), ""),
    ],
)
def test_without_dait_another_arm_is_compared(arms: tuple[str, ...], compared: str) -> None:
    found = compare_arms({arm: {0: 0.5} for arm in arms}, {}, IMAGES)
    assert found.arm == compared
    assert bool(finding_sentence(found))


def test_a_study_on_disk_is_read(tiny_study: Path) -> None:
    found = read_finding(read_study(StudyFolder(tiny_study)))
    assert (found.arm, found.seeds, found.tested_seeds) == ("dait", (0, 1), (0, 1))
    assert [verdict.base for verdict in found.verdicts] == ["independent", "direct"]
    assert len(found.tests) == 4
