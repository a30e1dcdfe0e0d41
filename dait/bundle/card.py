"""The model card of a bundle: ``README.md`` with the front matter of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from dait.bundle.deployment import TITLES
from dait.bundle.preprocess import labels_of, preprocessing_steps
from dait.bundle.weights import loading_code
from dait.config.arms import SUMMARIES, arm_title
from dait.data.base import ClassInfo, Dataset
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.runs.data import study_around
from dait.runs.folder import RunFolder
from dait.storage.files import format_bytes

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_LARGEST_SLICES = 12


def model_card(
    run: RunFolder,
    classes: Sequence[ClassInfo],
    data: Dataset,
    framing: Framing,
    config: Mapping[str, Any],
    deployment: Mapping[str, Any],
) -> str:
    """The text of the card. Raises ``UserError`` for a damaged ``result.json``."""
    result = run.result() or {}
    described = _study(run)
    arm = str(result.get("arm") or run.config().get("arm", ""))
    environment = Environment(
        loader=PackageLoader("dait.bundle", "."),
        autoescape=False,  # Markdown, whose own special characters are escaped
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown, "bytes": format_bytes, "percent": _percent}
    counts = data.counts()
    return environment.get_template("card.md.jinja").render(
        front_matter=_front_matter(run, data, config, result),
        run=run.path.resolve().name,
        study=described.get("name"),
        arm=arm_title(arm),
        summary=SUMMARIES.get(arm, ""),  # type: ignore[call-overload]
        seed=result.get("seed"),
        network=deployment["network"],
        labels=labels_of(classes),
        data=data,
        counts=counts,
        teacher=described.get("teacher") or {},
        between=result.get("between") or {},
        result=result,
        deployment=deployment,
        titles=TITLES,
        steps=preprocessing_steps(framing),
        size=framing.size,
        loading_code=loading_code(config),
        torchvision=config.get("library") == "torchvision",
        slices=_slices(result),
    )


def _front_matter(
    run: RunFolder, data: Dataset, config: Mapping[str, Any], result: Mapping[str, Any]
) -> str:
    figures = {"accuracy": result.get("top1"), "top-5 accuracy": result.get("top5")}
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=re.sub(r"[^a-z0-9]+", "-", data.name.lower()).strip("-") or "images",
            dataset_name=data.name,
            dataset_split="test",
            metric_type=name.replace(" ", "-"),
            metric_name=name,
            metric_value=round(float(value), 4),
        )
        for name, value in figures.items()
        if value is not None
    ]
    library = str(config.get("library", "timm"))
    card = ModelCardData(
        library_name=library,
        pipeline_tag="image-classification",
        tags=["image-classification", library, "onnx", "knowledge-distillation", "dait-studio"],
        license="other",
        license_name="not-chosen",
        model_name=run.path.resolve().name,
        eval_results=results,
    )
    return str(card.to_yaml())


def _study(run: RunFolder) -> dict[str, Any]:
    """``study.json`` of the study around a run; empty where there is none."""
    try:
        return study_around(run.path).description()
    except UserError:
        return {}


def _slices(result: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """The parts of the test split by their accuracy, the worst first."""
    found = [
        (name, value, float(top1))
        for name, values in (result.get("slices") or {}).items()
        for value, top1 in values.items()
    ]
    return sorted(found, key=lambda row: row[2])[:_LARGEST_SLICES]


def _markdown(text: object) -> str:
    """Text in which Markdown and HTML mean nothing, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _percent(share: float) -> str:
    return f"{share:.1%}"
