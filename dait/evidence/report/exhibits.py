"""The report's sections one by one, as a page that shows them side by side asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dait.evidence.report import (
    ablations,
    accuracy,
    costs,
    features,
    localisation,
    regimes,
)
from dait.evidence.report.inputs import ReportInputs
from dait.evidence.report.section import Section

_WRITERS: Mapping[str, Callable[[ReportInputs], Section]] = {
    "localisation": localisation.write,
    "features": features.write,
    "costs": costs.write_costs,
    "teachers": accuracy.write_sweep,
    "accuracy": accuracy.write,
    "regimes": regimes.write,
    "ablations": ablations.write,
}
KEYS = tuple(_WRITERS)


def exhibit_section(key: str, inputs: ReportInputs, sweeps: Sequence[Path] = ()) -> Section:
    """The section ``key`` of ``KEYS``; without a figure where there is no data for it.

    sweeps: logs of further sweeps (``sweep.jsonl``), for ``teachers`` and ``ablations``.
    """
    section = _WRITERS[key](inputs)
    if key in ("teachers", "ablations"):
        for file in sweeps:
            ablations.of_sweep(section, file, teachers=key == "teachers")
    return section
