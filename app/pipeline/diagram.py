"""The pipeline (the paper's Figure 2) as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.pipeline.stages import LABELS, STUDENT, VLM, StageView, stages_of
from app.ui.templates import render
from app.ui.wording import count
from dait.config.arms import SUMMARIES, Arm, arm_title
from dait.config.recipe import Recipe
from dait.evidence.palette import arm_colour

VIEWS = {
    "original": "as they are",
    "light": "cropped and flipped",
    "full": "cropped, flipped, with changed light and colours",
}


@dataclass(frozen=True)
class Shape:
    """A network: its name, its parameters, its last map (C, h, w), its pooled vector's width."""

    name: str
    parameters: int | None = None
    map: tuple[int, int, int] | None = None
    pooled: int | None = None


@dataclass(frozen=True)
class Pipeline:
    """The parts of a study.

    networks: by role; ``classes`` and ``embedding`` (the frozen teacher's width) are None if
    unknown. note: assumptions. data: the title of the images, if not the source.
    """

    recipe: Recipe
    arms: Sequence[Arm]
    networks: Mapping[str, Shape]
    teacher: str
    classes: int | None = None
    embedding: int | None = None
    note: str = ""
    reads_text: bool = True
    data: str = ""


def pipeline_html(pipeline: Pipeline) -> str:
    """Every arm from the images to the student: who teaches whom, and by which losses."""
    return render(
        "pipeline",
        images=_images(pipeline),
        arms=[
            {"name": arm, "summary": SUMMARIES[arm], "stages": _stages(pipeline, arm)}
            for arm in pipeline.arms
        ],
        note=pipeline.note,
    )


def _images(pipeline: Pipeline) -> str:
    size = pipeline.recipe.data.size
    name = pipeline.data or pipeline.recipe.data.source
    classes = "" if pipeline.classes is None else f", {pipeline.classes} classes"
    return (
        f"{name}: 3 × {size} × {size}{classes}, in batches of {pipeline.recipe.train.batch_size}. "
        "A teacher and its student see the same views."
    )


def _stages(pipeline: Pipeline, arm: Arm) -> list[dict[str, Any]]:
    stages = stages_of(pipeline.recipe, arm)
    found = []
    for number, stage in enumerate(stages, start=1):
        head = f"Stage {number} of {len(stages)}: " if len(stages) > 1 else ""
        epochs = f"{stage.epochs} epoch{'s' if stage.epochs > 1 else ''}"
        views = VIEWS.get(stage.views, stage.views)
        note = f" {stage.note}" if stage.note else ""
        found.append(
            {
                "text": f"{head}{epochs}, images {views}.{note}",
                "losses": stage.losses,
                "teacher": _teacher_box(pipeline, stage),
                "learner": _network_box(pipeline, arm, stage.learner, "learns"),
            }
        )
    return found


Box = tuple[str, str, Sequence[str]]
"""A box's colour, its title, and the lines below."""


def _teacher_box(pipeline: Pipeline, stage: StageView) -> Box:
    if stage.teacher is None:
        known = "" if pipeline.classes is None else f"{pipeline.classes} classes"
        return "#8A8A8A", "Labels", [known]
    if stage.teacher == VLM:
        lines = [pipeline.teacher]
        if pipeline.embedding is not None:
            lines.append(f"{pipeline.embedding}-dimensional embeddings")
            texts = "class texts" if pipeline.reads_text else "class means"
            if pipeline.classes is not None:
                lines.append(f"{texts} {pipeline.classes} × {pipeline.embedding}")
        return arm_colour(VLM), "Frozen teacher", [*lines, "never trained"]
    return _network_box(pipeline, "", stage.teacher, "teaches")


def _network_box(pipeline: Pipeline, arm: str, role: str, does: str) -> Box:
    shape = pipeline.networks.get(role)
    colour = arm_colour(arm if role == STUDENT else role)
    title = "Student" if role == STUDENT else arm_title(role)
    return colour, f"{title} {does}", [] if shape is None else _lines(shape)


def _lines(shape: Shape) -> list[str]:
    lines = [shape.name]
    if shape.parameters is not None:
        lines.append(f"{count(shape.parameters)} parameters")
    if shape.map is not None:
        lines.append(f"map {' × '.join(str(side) for side in shape.map)}")
    if shape.pooled is not None:
        lines.append(f"vector {shape.pooled}")
    return lines


def roles_of(recipe: Recipe, arms: Sequence[Arm]) -> list[str]:
    """The roles of the networks that these arms train or use, the student first."""
    found = {STUDENT}
    for arm in arms:
        for stage in stages_of(recipe, arm):
            found |= {stage.learner, stage.teacher or LABELS}
    order = (STUDENT, "intermediate", "classifier", "assistant")
    return [role for role in order if role in found]
