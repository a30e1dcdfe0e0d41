"""What is known of the form's frozen teacher on its data, and a button that measures it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.background import JobPool, Task
from app.catalogue.teacher_figures import form_html
from app.config import AppConfig
from app.policy import Policy
from app.server.loader import engine
from app.train.form import AS_IN_RECIPE, FormValues, read_form
from app.ui.events import LAST, UNLIMITED
from app.ui.job_box import JobBox
from app.ui.notice import Update, notice
from app.ui.wording import percent
from dait.config.arms import ARMS
from dait.config.recipe import Recipe

if TYPE_CHECKING:
    from dait.evaluation.frozen_teacher import TeacherAccuracy

ABOUT = ("recipe", "data", "teacher", "selection", "loaded")
"""The form's fields that a teacher's accuracy depends on."""


class TeacherMeasurements:
    """Frozen teachers that are measured in the background, shared by visitors."""

    def __init__(self, config: AppConfig) -> None:
        self._config, self._policy = config, Policy(config)
        self.jobs: JobPool[TeacherAccuracy] = JobPool(at_once=1)

    def recipe(self, values: FormValues) -> Recipe:
        """The recipe whose teacher and data are meant. Raises ``UserError`` for invalid values."""
        apart = replace(
            values,
            arms=list(ARMS),
            seed_count=1,
            first_seed=0,
            epochs=1,
            student=AS_IN_RECIPE,
            intermediate=AS_IN_RECIPE,
        )
        return read_form(self._config, apart).recipe

    def task(self, values: FormValues) -> tuple[str, Task[TeacherAccuracy]]:
        """What measures, and its key. Raises ``UserError`` for what is not allowed."""
        recipe = self.recipe(values)
        self._policy.require_data(recipe.data.source)
        self._policy.require_teacher(recipe.teacher.name)
        key = f"{recipe.data!r} {recipe.teacher!r}"
        return key, partial(_measure, recipe)


class TeacherBox:
    """The figures that are known, and below them the button."""

    def __init__(self) -> None:
        self.facts = gr.HTML("", elem_id="teacher-known", apply_default_css=False)
        label = "Measure its zero-shot accuracy"
        self.job: JobBox[TeacherAccuracy] = JobBox(label, "teacher-measure")

    def wire(self, config: AppConfig, fields: dict[str, Any]) -> None:
        """fields: the form's component of each field of ``FormValues``, in its order."""
        measurements = TeacherMeasurements(config)
        self.job.wire(
            measurements.jobs,
            lambda *values: measurements.task(FormValues(*values)),
            self._shown,
            list(fields.values()),
            about=[fields[name] for name in ABOUT],
            cleared={self.facts: gr.skip()},
        )

    def wire_facts(self, config: AppConfig, fields: dict[str, Any], panel: gr.Tab) -> None:
        """Show the known figures when the tab opens and whenever a choice changes."""
        choices = [fields[name] for name in ("recipe", "data", "teacher")]
        gr.on(
            [panel.select, *(choice.change for choice in choices)],
            partial(form_html, config),
            choices,
            self.facts,
            **UNLIMITED,
            **LAST,
        )

    def _shown(self, found: TeacherAccuracy) -> Update:
        # In place of the sentence that it is not measured yet.
        return {self.job.result: measured_html(found), self.facts: ""}


def measured_html(found: TeacherAccuracy) -> str:
    """The figures as a sentence, and what there is to say of the prompts."""
    figures = found.figures
    low, high = figures["top1_interval"]
    sentence = (
        f"{found.teacher} classifies {percent(figures['top1'])} of the {figures['n_test']:,} "
        f"validation images correctly without training (95 % interval {percent(low)} to "
        f"{percent(high)}; top-5 {percent(figures['top5'])}; by chance "
        f"{percent(1 / found.classes)})."
    )
    warnings = [notice(line) for line in found.prototypes.warnings]
    return "".join([notice(sentence, calm=True), *warnings])


def _measure(recipe: Recipe, emit: Any) -> TeacherAccuracy:
    return engine().measure_teacher(recipe, emit)
