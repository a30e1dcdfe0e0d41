"""What a study found: is one arm's student ahead of the others, and could that be chance?

Imports nothing heavy: the app's first sentence comes from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dait.config.arms import SUMMARIES, arm_title
from dait.evaluation.arms import DIRECT, correct_by_seed, mean_and_sd
from dait.evaluation.metrics import holm, mcnemar
from dait.evaluation.records import StudyRecord, arm_place
from dait.evidence.wording import listed, p_is, percent, points, seeds

FOCUS = "dait"
"""The arm that a study is about, where it has it."""
BASES = ("independent", DIRECT)
"""The arms that it is compared with."""
LEVEL = 0.05

Outcome = Literal["ahead", "behind", "open", "untested"]


@dataclass(frozen=True)
class SeedTest:
    """McNemar's exact test of the arm against ``base`` on the test images of one seed.

    gain: difference in top-1 (a fraction); corrected: p after Holm for all tests of the finding.
    """

    base: str
    seed: int
    gain: float
    p: float
    corrected: float


@dataclass(frozen=True)
class Verdict:
    """The arm against ``base``.

    gain: mean difference in top-1 over the seeds that both have. outcome: ``ahead`` or ``behind``
    where every seed has that sign and every tested one a corrected p below ``LEVEL``, ``open``
    where one does not, ``untested`` without predictions. p: the largest corrected p of the seeds.
    """

    base: str
    gain: float
    outcome: Outcome
    p: float | None


@dataclass(frozen=True)
class Finding:
    """top1: the mean of every arm over its seeds, in the order of tables; arm: the one that is
    compared, empty where there is nothing to compare; images: of the test split."""

    arm: str
    top1: Mapping[str, float]
    seeds: tuple[int, ...]
    images: int
    verdicts: tuple[Verdict, ...]
    tests: tuple[SeedTest, ...]

    @property
    def tested_seeds(self) -> tuple[int, ...]:
        """The seeds whose predictions are known."""
        return tuple(sorted({test.seed for test in self.tests}))


ByArmAndSeed = Mapping[str, Mapping[int, float]]
CorrectByArmAndSeed = Mapping[str, Mapping[int, np.ndarray]]


def compare_arms(top1: ByArmAndSeed, correct: CorrectByArmAndSeed, images: int) -> Finding:
    """What the runs of one recipe say.

    top1: fractions of the test split by arm and seed; correct: ``(N,)`` bool, which images the
    student has right, for those runs whose predictions are known.
    """
    arms = sorted(top1, key=arm_place)
    means = {arm: float(np.mean(list(top1[arm].values()))) for arm in arms}
    everywhere = tuple(sorted({seed for own in top1.values() for seed in own}))
    arm = _compared(arms)
    bases = [base for base in BASES if base in top1 and base != arm and arm]
    pairs = [
        (base, seed)
        for base in bases
        for seed in correct.get(arm, {})
        if seed in correct.get(base, {})
    ]
    found = [mcnemar(correct[arm][seed], correct[base][seed]) for base, seed in pairs]
    corrected = holm([one.p for one in found])
    tests = tuple(
        SeedTest(base, seed, (one.only_a - one.only_b) / images, one.p, after)
        for (base, seed), one, after in zip(pairs, found, corrected, strict=True)
    )
    verdicts = tuple(
        verdict for base in bases if (verdict := _verdict(top1[arm], base, top1[base], tests))
    )
    return Finding(arm if verdicts else "", means, everywhere, images, verdicts, tests)


def read_finding(study: StudyRecord) -> Finding:
    """``compare_arms`` of a study on disk. Raises ``UserError`` where a file is damaged."""
    top1: dict[str, dict[int, float]] = {}
    images = 0
    for seed, runs in study.runs.items():
        for run in runs:
            top1.setdefault(run.arm, {})[seed] = float(run.result["top1"])
            images = int(run.result["n_test"])
    return compare_arms(top1, correct_by_seed(study), images)


def finding_sentence(finding: Finding) -> str:
    """``DAIT is ahead of the student that learns from labels alone (+3.9 points, p < 0.001), …``"""
    if not finding.arm:
        tops = [f"{arm_title(arm)} {percent(top1)}" for arm, top1 in finding.top1.items()]
        return f"Test accuracy: {listed(tops)}. No arm here has another to be compared with."
    tested, where = finding.tested_seeds, ""
    if 0 < len(tested) < len(finding.seeds):
        where = f" on {seeds(tested)} alone"
    clauses = [_clause(arm_title(finding.arm), verdict, where) for verdict in finding.verdicts]
    sentence = ", and ".join(clauses) + "."
    return sentence[0].upper() + sentence[1:]


def finding_basis(finding: Finding) -> str:
    """How that was counted and tested, in a line or two."""
    number, tested = len(finding.seeds), finding.tested_seeds
    means = "one seed" if number == 1 else f"means of {number} seeds"
    said = [f"Top-1 on {finding.images:,} test images, {means}."]
    best = max(finding.top1, key=lambda arm: finding.top1[arm])
    if best not in (finding.arm, *BASES):  # which the sentence does not speak of
        how, top1 = SUMMARIES[best], percent(finding.top1[best])
        said.append(f"The best student, {arm_title(best)}, {how}: {top1}.")
    if not tested:
        return " ".join([*said, "No predictions of single images are kept: nothing is tested."])
    which = f"the largest of McNemar’s tests on {seeds(tested)}"
    if len(tested) == 1:
        which = f"McNemar’s test on {seeds(tested)}"
    count = len(finding.tests)
    said.append(f"p: {which}{f', after Holm for {count} tests' if count > 1 else ''}.")
    if number == 1:
        said.append("One seed is a hint.")
    elif len(tested) < number:
        said.append("Of the other seeds no predictions of single images are kept.")
    return " ".join(said)


def _compared(arms: list[str]) -> str:
    """DAIT, or the last arm in the order of tables that has one to be compared with."""
    if FOCUS in arms:
        return FOCUS
    others = [arm for arm in arms if arm not in BASES]
    return others[-1] if others else (DIRECT if DIRECT in arms else "")


def _verdict(
    ours: Mapping[int, float], base: str, theirs: Mapping[int, float], tests: tuple[SeedTest, ...]
) -> Verdict | None:
    gains = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    gain = mean_and_sd(gains)
    if gain is None or gain["mean"] is None:
        return None
    own = [test for test in tests if test.base == base]
    if not own:
        return Verdict(base, gain["mean"], "untested", None)
    p = max(test.corrected for test in own)
    signs = {float(np.sign(value)) for value in (*gains, *(test.gain for test in own))}
    outcome: Outcome = "open"
    if p < LEVEL and len(signs) == 1:
        outcome = "ahead" if gain["mean"] > 0 else "behind"
    return Verdict(base, gain["mean"], outcome, p)


def _clause(name: str, verdict: Verdict, where: str) -> str:
    """where: the seeds that p is of, if there are others."""
    other = _named(verdict.base)
    gain = f"{points(verdict.gain)} points"
    if verdict.p is None:
        return f"{name} differs from {other} by {gain}, which is not tested"
    said = f"({gain}, {p_is(verdict.p)}{where})"
    if verdict.outcome == "open":
        return f"no difference between {name} and {other} is shown {said}"
    return f"{name} is {'ahead of' if verdict.outcome == 'ahead' else 'behind'} {other} {said}"


def _named(arm: str) -> str:
    """A base inside a sentence."""
    return "direct distillation" if arm == DIRECT else "the student that learns from labels alone"
