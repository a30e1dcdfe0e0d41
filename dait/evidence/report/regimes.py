"""Where each arm pays: the map of regimes that comes along."""

from __future__ import annotations

from dait.errors import UserError
from dait.evaluation.regimes import MAP, read_rows, summarize
from dait.evidence import figures
from dait.evidence.report.inputs import ReportInputs
from dait.evidence.report.section import Section


def write(_: ReportInputs) -> Section:
    """A sentence and the map; an empty section where none comes along."""
    section = Section("regimes", "When does which arm pay?")
    if not MAP.exists():
        return section
    try:
        regimes = summarize(read_rows(MAP))
    except UserError as error:
        section.missing(str(error))
        return section
    section.paragraph(
        "Which arm is worth training depends on how much the frozen teacher knows of the task: "
        "this map is of other trainings than those above, in which only the teacher, the student "
        "and the unlabelled images change."
    )
    best = {arm: 0 for regime in regimes for arm in regime.top1}
    for regime in regimes:
        best[regime.best] += 1
    described = ", ".join(f"{arm} in {count}" for arm, count in best.items())
    section.panels(
        lambda columns, dark: figures.regime_panels(regimes, columns=columns, dark=dark),
        f"Lines of gain by arm. The best arm of {len(regimes)} regimes: {described}.",
        "Gain in points over labels alone (the line at zero) against the frozen teacher's "
        "zero-shot top-1 on the validation images. A point is a mean over seeds, a whisker goes "
        "from the worst to the best of them.",
    )
    return section
