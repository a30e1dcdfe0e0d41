"""What exported students cost: size, speed and accuracy of every form, kept beside their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dait.errors import UserError
from dait.events import Emit, Note, ignore
from dait.models.checkpoint import weights_digest
from dait.runs.folder import RunFolder

TITLES = {
    "torch": "PyTorch, fp32 (model.safetensors)",
    "fp16": "PyTorch, weights in fp16 (model.fp16.safetensors)",
    "onnx": "ONNX (model.onnx)",
    "int8": "ONNX, int8 (model.int8.onnx)",
}
"""The forms of an exported student, by the names that ``deployment.json`` has for them."""


@dataclass(frozen=True)
class DeployedForm:
    """A form of a run's student.

    parameters, macs: of one image; size: of the file, in bytes; top1, interval, agreement (the
    share of PyTorch's answers): fractions of the test images; median, p95: milliseconds for one
    image on one thread of ``processor``, None where the form is computed as another one.
    """

    run: str
    arm: str
    seed: int
    form: str
    parameters: int
    macs: int
    size: int
    top1: float
    interval: tuple[float, float]
    agreement: float
    median: float | None
    p95: float | None
    processor: str
    images: int


def keep_deployment(run: RunFolder, figures: Mapping[str, Any], emit: Emit = ignore) -> None:
    """Keep an exported student's figures in its run, unless it has those of more forms there.

    A run that cannot be written to is left as it is, with a note.
    """
    try:
        known = deployment_of(run)
        if known is None or set(known["bytes"]) <= set(figures["bytes"]):
            run.write_deployment({**figures, "weights": weights_digest(run.student)})
    except UserError as error:
        emit(Note(f"the figures are not kept beside the run: {error}"))


def deployment_of(run: RunFolder) -> dict[str, Any] | None:
    """What was kept of a run's student; None where it was never exported as it is now."""
    try:
        found = run.deployment()
    except UserError:  # measured again by the next export
        return None
    if found is None or not run.student.is_file():
        return None
    return found if found["weights"] == weights_digest(run.student) else None


def deployed_forms(runs: Iterable[RunFolder]) -> list[DeployedForm]:
    """A row for every form of every student that was measured.

    Networks of one architecture have one latency, the least: what else a machine does while one
    is timed only adds.
    """
    found = [(run, figures) for run in runs if (figures := deployment_of(run)) is not None]
    fastest: dict[tuple[Any, ...], Mapping[str, float]] = {}
    for _, figures in found:
        for form, latency in figures["latency_ms"].items():
            key = _architecture(figures, form)
            if key not in fastest or latency["median"] < fastest[key]["median"]:
                fastest[key] = latency
    rows = []
    for run, figures in found:
        config = run.config()
        for form in TITLES:
            if form not in figures["bytes"] or form not in figures["top1"]:
                continue
            latency = fastest.get(_architecture(figures, form), {})
            low, high = figures["top1_interval"].get(form, (figures["top1"][form],) * 2)
            rows.append(
                DeployedForm(
                    run=run.path.name,
                    arm=str(config.get("arm", "")),
                    seed=int(config.get("seed", 0)),
                    form=form,
                    parameters=figures["parameters"],
                    macs=figures["macs"],
                    size=figures["bytes"][form],
                    top1=figures["top1"][form],
                    interval=(low, high),
                    agreement=figures["agreement"].get(form, 1.0),
                    median=latency.get("median"),
                    p95=latency.get("p95"),
                    processor=figures["processor"],
                    images=figures["images"],
                )
            )
    return rows


def _architecture(figures: Mapping[str, Any], form: str) -> tuple[Any, ...]:
    names = ("network", "image_size", "parameters", "macs", "processor")
    return (form, *(figures[name] for name in names))
