"""The pipeline (the paper's Figure 2) as HTML: a pure function of what a study is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.pipeline.stages import LABELS, STUDENT, VLM, StageView, stages_of
from app.ui.wording import count, escape
from dait.config.arms import SUMMARIES, Arm
from dait.config.recipe import Recipe
from dait.evidence.palette import arm_colour, arm_title

VIEWS = {
    "original": "as they are",
    "light": "cropped and flipped",
    "full": "cropped, flipped, in other light and colours",
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
    """What a study is made of.

    networks: by role; ``classes`` and ``embedding`` (the frozen teacher's width) None where they
    are not known. note: what of it is assumed. data: what to call the images, if not by source.
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
    """Every arm from the images to the student: who teaches whom, by which losses, how large."""
    arms = "".join(_arm(pipeline, arm) for arm in pipeline.arms)
    note = f'<p class="ds-hint">{escape(pipeline.note)}</p>' if pipeline.note else ""
    return f'<div class="ds-pipes">{_images(pipeline)}{arms}{note}</div>'


def _images(pipeline: Pipeline) -> str:
    size = pipeline.recipe.data.size
    name = pipeline.data or pipeline.recipe.data.source
    classes = "" if pipeline.classes is None else f", {pipeline.classes} classes"
    return (
        f'<p class="ds-pipe-images"><b>Images</b> {escape(name)}: 3 × {size} × {size}{classes}, '
        f"in batches of {pipeline.recipe.train.batch_size}. A teacher and its learner see the same "
        "views.</p>"
    )


def _arm(pipeline: Pipeline, arm: Arm) -> str:
    stages = stages_of(pipeline.recipe, arm)
    rows = "".join(
        _stage(pipeline, arm, stage, number, len(stages))
        for number, stage in enumerate(stages, start=1)
    )
    title, colour = escape(arm_title(arm)), arm_colour(arm)
    return (
        f'<section class="ds-pipe" style="--arm: {colour}">'
        f"<h4>{title}<small>{escape(SUMMARIES[arm])}</small></h4><ol>{rows}</ol></section>"
    )


def _stage(pipeline: Pipeline, arm: Arm, stage: StageView, number: int, total: int) -> str:
    head = f"Stage {number} of {total}: " if total > 1 else ""
    epochs = f"{stage.epochs} epoch{'s' if stage.epochs > 1 else ''}"
    views = VIEWS.get(stage.views, stage.views)
    note = f" {escape(stage.note)}" if stage.note else ""
    losses = "".join(
        f"<li>{escape(name)} <b>× {escape(weight)}</b></li>" for name, weight in stage.losses
    )
    return (
        f"<li><p>{head}{epochs}, images {escape(views)}.{note}</p>"
        f'<div class="ds-pipe-flow">{_teacher_box(pipeline, stage)}'
        f'<div class="ds-pipe-arrow"><ul aria-label="Losses">{losses}</ul></div>'
        f"{_network_box(pipeline, arm, stage.learner, 'learns')}</div></li>"
    )


def _teacher_box(pipeline: Pipeline, stage: StageView) -> str:
    if stage.teacher is None:
        known = "" if pipeline.classes is None else f"{pipeline.classes} classes"
        return _box("#8A8A8A", "Labels", [known])
    if stage.teacher == VLM:
        lines = [pipeline.teacher]
        if pipeline.embedding is not None:
            lines.append(f"embeds into {pipeline.embedding} numbers")
            texts = "class texts" if pipeline.reads_text else "class means"
            if pipeline.classes is not None:
                lines.append(f"{texts} {pipeline.classes} × {pipeline.embedding}")
        return _box(arm_colour(VLM), "Frozen teacher", [*lines, "never trained"])
    return _network_box(pipeline, "", stage.teacher, "teaches")


def _network_box(pipeline: Pipeline, arm: str, role: str, does: str) -> str:
    shape = pipeline.networks.get(role)
    colour = arm_colour(arm if role == STUDENT else role)
    title = "Student" if role == STUDENT else arm_title(role)
    lines = [] if shape is None else _lines(shape)
    return _box(colour, f"{title} {does}", lines)


def _lines(shape: Shape) -> list[str]:
    lines = [shape.name]
    if shape.parameters is not None:
        lines.append(f"{count(shape.parameters)} parameters")
    if shape.map is not None:
        lines.append(f"map {' × '.join(str(side) for side in shape.map)}")
    if shape.pooled is not None:
        lines.append(f"vector {shape.pooled}")
    return lines


def _box(colour: str, title: str, lines: Sequence[str]) -> str:
    body = "".join(f"<span>{escape(line)}</span>" for line in lines if line)
    return f'<div class="ds-pipe-box" style="--arm: {colour}"><b>{escape(title)}</b>{body}</div>'


def roles_of(recipe: Recipe, arms: Sequence[Arm]) -> list[str]:
    """The roles of the networks that these arms train or use, the student first."""
    found = {STUDENT}
    for arm in arms:
        for stage in stages_of(recipe, arm):
            found |= {stage.learner, stage.teacher or LABELS}
    order = (STUDENT, "intermediate", "classifier", "assistant")
    return [role for role in order if role in found]
