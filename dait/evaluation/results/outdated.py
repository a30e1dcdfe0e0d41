"""Whether stored figures were measured on the networks that a study has now.

Weights change when a run is trained again, or when studies are merged. Stored figures name the
weights that they were measured on; those of older versions do not, and are trusted.
"""

from __future__ import annotations

from pathlib import Path

from dait.errors import UserError
from dait.evaluation.networks import StoredNetworks, stored_networks
from dait.evaluation.records import StudyRecord, read_study
from dait.evaluation.results.localisation import FILE_NAME as LOCALISATION
from dait.evaluation.results.localisation import Measurement, read_localisation
from dait.evaluation.results.probes import FILE_NAME as KNOWLEDGE
from dait.evaluation.results.probes import ProbeResults, read_probe_results
from dait.models.checkpoint import weights_digest
from dait.runs.folder import StudyFolder


def localisation_holds(measurement: Measurement, explained: StoredNetworks) -> bool:
    """Whether all networks that exist were measured, with their present weights."""
    measured = {row.key: row.weights for row in measurement.networks}
    return all(
        stored.member.key in measured and measured[stored.member.key] in (None, stored.weights)
        for stored in explained.networks
    )


def current_localisation(path: Path) -> tuple[Measurement, ...]:
    """The measurements of a study's or a run's folder that still hold, the newest last.

    All of them where the networks are missing. Raises as ``read_localisation``.
    """
    kept = read_localisation(path)
    try:
        explained = stored_networks(path) if kept else None
    except UserError:
        return kept
    return tuple(one for one in kept if explained is None or localisation_holds(one, explained))


def probes_hold(knowledge: ProbeResults, study: StudyRecord) -> bool:
    """As ``localisation_holds``, of ``knowledge.json``."""
    if knowledge.files is None:
        return True
    return all(knowledge.files.get(name) == digest for name, digest in probed_files(study).items())


def probed_files(study: StudyRecord) -> dict[str, str]:
    """Digests of the networks that linear probes read, by file."""
    return {
        f"{path.parent.name}/{path.name}": weights_digest(path)
        for seed in study.open_seeds
        for run in study.runs[seed]
        for path in (run.folder.student, run.folder.intermediate)
        if path.exists()
    }


def outdated(study: StudyFolder) -> list[str]:
    """The files of figures in ``study`` that were measured on other networks, less damaged ones."""
    found = []
    try:
        if len(current_localisation(study.path)) < len(read_localisation(study.path)):
            found.append(LOCALISATION)
    except UserError:
        pass  # reported when the figures are read
    try:
        knowledge = read_probe_results(study.path / KNOWLEDGE)
        if knowledge is not None and not probes_hold(knowledge, read_study(study)):
            found.append(KNOWLEDGE)
    except UserError:
        pass
    return found
