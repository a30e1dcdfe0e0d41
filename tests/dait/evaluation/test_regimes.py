"""Rows of a map of regimes, their summaries, and the advice that they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from dait.errors import UserError
from dait.evaluation.advice import FAR, advise, distance, score
from dait.evaluation.regimes import Measured, RegimeRow, RegimeSummary, read_rows, summarize

WEAK = Measured(classes=40, labelled=10, unlabelled=20, zero_shot=0.2, probe=0.3, start_probe=0.5)
STRONG = WEAK.model_copy(update={"zero_shot": 0.95, "probe": 0.9})


def rows() -> list[RegimeRow]:
    """Under a weak teacher labels alone are best, under a strong one dait, seed by seed."""
    figures = {
        "weak": (WEAK, {"independent": (0.6, 0.64), "direct": (0.5, 0.55), "dait": (0.55, 0.6)}),
        "strong": (
            STRONG,
            {"independent": (0.6, 0.64), "direct": (0.7, 0.76), "dait": (0.8, 0.86)},
        ),
    }
    return [
        RegimeRow(
            condition="unlabelled",
            teacher=teacher,
            student="small",
            measured=measured,
            arm=arm,
            seed=seed,
            top1=top1,
        )
        for teacher, (measured, arms) in figures.items()
        for arm, found in arms.items()
        for seed, top1 in enumerate(found)
    ]


def regimes() -> list[RegimeSummary]:
    return summarize(rows())


def test_gains_are_over_labels_alone_with_the_same_seed() -> None:
    weak, strong = regimes()
    assert (weak.best, strong.best) == ("independent", "dait")
    assert strong.gains["dait"] == pytest.approx((0.2, 0.22))
    assert strong.gain("direct") == pytest.approx(0.11)
    assert weak.measured == WEAK


def test_a_regime_without_the_reference_is_left_out() -> None:
    assert summarize([row for row in rows() if row.arm != "independent"]) == []


def test_rows_survive_their_file(tmp_path: Path) -> None:
    file = tmp_path / "regimes.jsonl"
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows()))
    assert read_rows(file) == rows()
    file.write_text('{"arm": "dait"}\n')
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(file)
    with pytest.raises(UserError, match="dait regimes"):
        read_rows(tmp_path / "none.jsonl")


def test_the_bundled_map_can_be_read() -> None:
    found = summarize(read_rows())
    assert len(found) >= 8 and all("direct" in regime.top1 for regime in found)
    assert any("dait" in regime.top1 for regime in found)


@pytest.mark.parametrize(("measured", "first"), [(WEAK, "independent"), (STRONG, "dait")])
def test_advice_follows_the_nearest_regime(measured: Measured, first: str) -> None:
    advice = advise(measured, regimes())
    assert advice.recommended[0] == first and advice.distance == 0
    for low, high in advice.expected.values():
        assert 0 <= low <= high <= 1
    top1 = next(r for r in regimes() if r.measured == measured).top1[first]
    low, high = advice.expected[first]
    assert low <= top1 <= high
    assert advice.why.count(". ") == 1 and first in advice.why


def test_of_equal_arms_the_cheaper_one_comes_first() -> None:
    equal = [row.model_copy(update={"top1": 0.7}) for row in rows()]
    assert advise(STRONG, summarize(equal)).recommended == ("independent", "direct", "dait")


def test_an_arm_that_was_not_trained_everywhere_is_judged_where_it_was() -> None:
    some = [row for row in rows() if (row.arm, row.teacher) != ("dait", "weak")]
    advice = advise(WEAK, summarize(some))
    assert advice.recommended[0] == "dait"  # by the strong teacher's regime alone
    assert set(advice.expected) == {"independent", "direct", "dait"}


def test_advice_far_from_the_map_says_so() -> None:
    far = WEAK.model_copy(update={"labelled": 1000.0, "start_probe": 0.0})
    advice = advise(far, regimes())
    assert advice.distance == distance(far, WEAK) > FAR and "guess" in advice.why


def test_the_score_counts_first_choices_near_the_best() -> None:
    assert score(regimes(), regimes()) == (2, 2)
    # Asked of a map of the other regime alone, the first choice is 6 points off.
    weak, strong = regimes()
    assert score([strong], [weak]) == (0, 1)
    # Where the first choice was not trained, nothing is known of it.
    few = [row for row in rows() if row.arm != "dait"]
    assert score(summarize(few)[1:], [strong]) == (0, 0)


def test_no_map_no_advice() -> None:
    with pytest.raises(ValueError, match="at least one regime"):
        advise(WEAK, [])
