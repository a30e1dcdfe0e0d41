"""A finished run on another split of its data, or on the images of other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from app.background import JobPool, Task
from app.catalogue.sources import Sources
from app.config import AppConfig
from app.export.bundles import Bundles
from app.policy import Policy
from app.server.loader import engine
from app.ui.events import UNLIMITED
from app.ui.job_box import JobBox
from app.ui.notice import Update, hint
from app.ui.tables import Cell, table_html
from app.ui.wording import percent
from dait.data.base import SPLITS, SplitName
from dait.errors import UserError
from dait.events import Emit
from dait.runs.folder import RunFolder

OWN = "split:"
"""What a choice of a split of the run's own data begins with."""
EXPLAINED = hint(
    "Runs the networks of a finished run over another split of its data, or its student over every "
    "labelled image of other data with classes of the same names. Images that it was trained on "
    "say little about it."
)
FIGURES = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_per_class": "Per class",
    "macro_f1": "Macro-F1",
    "ece": "ECE",
}


@dataclass(frozen=True)
class Evaluation:
    """The figures of each network (by title), and what they are of."""

    caption: str
    rows: Mapping[str, Mapping[str, Any]]


class Evaluations:
    """Runs that are evaluated in the background, shared by visitors."""

    def __init__(self, config: AppConfig, bundles: Bundles) -> None:
        self.sources, self._policy, self._bundles = Sources(config), Policy(config), bundles
        self.jobs: JobPool[Evaluation] = JobPool(at_once=1)

    def task(self, study_id: object, name: object, on: object) -> tuple[str, Task[Evaluation]]:
        """What evaluates, and its key. Raises ``UserError`` for invalid values."""
        run = self._bundles.run(study_id, name)
        if isinstance(on, str) and on.startswith(OWN):
            split = next((one for one in SPLITS if on == OWN + one), None)
            if split is None:
                raise UserError("Choose the images from the list.")
            task = partial(_of_split, run, split)
        else:
            source = self.sources.resolve(on)
            self._policy.require_data(source)
            task = partial(_elsewhere, run, source, self.sources.title(on) or str(on))
        return f"{study_id}/{name}/{on}", task

    def choices(self) -> list[tuple[str, str]]:
        """(title, value) of every split of a run's own data, and of all other data."""
        titles = {"val": "validation", "train": "training", "test": "test"}
        own = [(f"Its {titles[name]} images", OWN + name) for name in ("val", "train", "test")]
        return own + self.sources.choices()


def build_evaluate_box(
    evaluations: Evaluations, bundles: Bundles, study: gr.Dropdown | gr.State, name: str
) -> None:
    """Lay the fold out and wire it. study: holds the id of the study; name: of the element."""
    with gr.Accordion("Evaluate on other images", open=False, elem_id=name) as fold:
        gr.HTML(EXPLAINED, apply_default_css=False)
        run = gr.Dropdown([], label="Run", elem_id=f"{name}-run")
        on = gr.Dropdown(
            evaluations.choices(), value=f"{OWN}val", label="Images", elem_id=f"{name}-on"
        )
        job: JobBox[Evaluation] = JobBox("Evaluate", name, interactive=False)

    def offer(study_id: object, current: object, chosen: object) -> Update:
        """The runs that can be evaluated now, and the data that there is."""
        runs, value = bundles.choice(study_id, current)
        choices = evaluations.choices()
        kept = chosen if chosen in [known for _, known in choices] else f"{OWN}val"
        return {
            run: gr.update(choices=runs, value=value),
            job.press: gr.update(interactive=bool(runs)),
            on: gr.update(choices=choices, value=kept),
        }

    def shown(found: Evaluation) -> Update:
        return {job.result: evaluation_html(found)}

    gr.on(
        [study.change, fold.expand],
        offer,
        [study, run, on],
        [run, job.press, on],
        **UNLIMITED,
    )
    inputs = [study, run, on]
    job.wire(evaluations.jobs, evaluations.task, shown, inputs, about=inputs)


def evaluation_html(found: Evaluation) -> str:
    """A row for each network."""
    body: list[tuple[str, list[Cell]]] = []
    for title, figures in found.rows.items():
        interval = figures.get("top1_interval")
        small = f"{percent(interval[0])} to {percent(interval[1])}" if interval else ""
        cells = [(percent(figures.get(key)), small if key == "top1" else "") for key in FIGURES]
        body.append((title, cells))
    return table_html(found.caption, "Network", list(FIGURES.values()), body)


def _of_split(run: RunFolder, split: SplitName, emit: Emit) -> Evaluation:
    found = engine().evaluate_split(run, split, emit)
    titles = {role: role.capitalize() for role in found.figures["between"]}
    rows = {"Student": found.figures}
    rows |= {titles[role]: own for role, own in found.figures["between"].items()}
    return Evaluation(
        f"{run.path.name} on its {found.figures['n']:,} {split} images, as "
        f"python -m dait evaluate {run.path.parent.name}/{run.path.name} --split {split} does.",
        rows,
    )


def _elsewhere(run: RunFolder, source: str, title: str, emit: Emit) -> Evaluation:
    found = engine().evaluate_elsewhere(run, source, emit)
    left_out = f"; {found.unknown:,} images of other classes left out" if found.unknown else ""
    return Evaluation(
        f"{run.path.name} on {found.images:,} images of {title}, of {found.classes} of the "
        f"{found.of} classes that it knows{left_out}.",
        {"Student": found.figures},
    )
