"""Before you train: which arms are worth it with the form's data and recipe, and the map."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from app.background import JobPool, Task
from app.config import AppConfig
from app.policy import Policy
from app.server.loader import engine
from app.studies.order import Order
from app.train.form import FormValues, read_form
from app.ui.events import QUIET
from app.ui.job_box import JobBox
from app.ui.notice import HIDDEN_NOTICE, Update, hint, notice, notice_box
from app.ui.plot import WIDE, figure_json, panel_columns, plot_box
from app.ui.tables import network_name, table_html
from app.ui.wording import duration
from dait.config.arms import ARMS, arm_title
from dait.errors import UserError
from dait.evaluation.advice import Advice
from dait.evaluation.regimes import REFERENCE, read_rows, summarize
from dait.events import Emit
from dait.evidence import figures
from dait.evidence.figures.regimes import Strength

WITH_WIDTH = "(against, _) => [against, window.innerWidth]"
EXPLAINED = hint(
    "Measures what the frozen teacher and the student's start weights know of the chosen data, and "
    "looks for the nearest trainings of the map. Takes from seconds to minutes; trains nothing."
)
AGAINST: list[tuple[str, Strength]] = [
    ("Zero-shot top-1", "zero_shot"),
    ("A linear probe", "probe"),
]


class Advisor:
    """Advice on orders, measured in the background and shared by visitors."""

    def __init__(self, config: AppConfig) -> None:
        self._map = config.regimes
        self._policy = Policy(config)
        self.jobs: JobPool[Advice] = JobPool()

    def task(self, order: Order) -> tuple[str, Task[Advice]]:
        """What measures this order, and its key.

        Raises ``UserError`` for what may not be trained, and without a map.
        """
        self._policy.require_order(order)
        read_rows(self._map)
        return order.recipe.to_yaml(), partial(_advise, order, self._map)


class AdviceBox:
    """The fold and what is in it."""

    def __init__(self) -> None:
        with gr.Accordion("Before you train", open=False, elem_id="advice") as self.fold:
            gr.HTML(EXPLAINED, apply_default_css=False)
            self.job: JobBox[Advice] = JobBox("Which arms are worth it?", "advice")
            self.take = gr.Button(
                "Take these arms", visible=False, size="sm", elem_id="advice-take"
            )
            self.against = gr.Radio(
                AGAINST,
                value="zero_shot",
                label="The map: when does which arm pay, by what the frozen teacher knows",
                visible=False,
                elem_id="map-against",
            )
            self.plot = plot_box(
                "Gain of every arm over labels alone, against how good the frozen teacher is",
                700,
                visible=False,
                elem_id="map",
            )
            self.unmapped = notice_box("map-notice")
        self.arms = gr.State([])
        """The recommended ones."""
        self.width = gr.Number(WIDE, visible=False)

    def wire(self, config: AppConfig, fields: dict[str, Any]) -> None:
        """Ask, take the answer over, and drop it when what it is about changes.

        fields: the form's component of each field of ``FormValues``, in its order.
        """
        advisor = Advisor(config)

        def task(*values: Any) -> tuple[str, Task[Advice]]:
            # Whatever is ticked now, and be it nothing: it is the advice that says which arms.
            return advisor.task(read_form(config, replace(FormValues(*values), arms=list(ARMS))))

        def show(advice: Advice) -> Update:
            return {
                self.job.result: advice_html(advice),
                self.arms: list(advice.recommended),
                self.take: gr.update(visible=True),
            }

        apart = ("arms", "seed_count", "first_seed", "epochs")
        self.job.wire(
            advisor.jobs,
            task,
            show,
            list(fields.values()),
            about=[component for name, component in fields.items() if name not in apart],
            cleared={self.arms: [], self.take: gr.update(visible=False)},
        )
        self.take.click(with_reference, self.arms, fields["arms"], **QUIET)
        self._wire_map(config)

    def _wire_map(self, config: AppConfig) -> None:
        def draw(against: object, width: object) -> Update:
            try:
                figure = map_figure(config, against, width)
            except UserError as error:
                # Without a map there is no advice to ask for.
                return {
                    self.unmapped: notice(str(error), calm=True),
                    self.job.press: gr.update(visible=False),
                }
            return {
                self.job.press: gr.update(visible=True),
                self.unmapped: HIDDEN_NOTICE,
                self.against: gr.update(visible=True),
                self.plot: gr.update(value=figure, visible=True),
            }

        gr.on(
            [self.fold.expand, self.against.input],
            draw,
            [self.against, self.width],
            [self.unmapped, self.job.press, self.against, self.plot],
            js=WITH_WIDTH,
            concurrency_limit=2,
            trigger_mode="always_last",
            **QUIET,
        )


def with_reference(recommended: list[str]) -> list[str]:
    """What the form ticks: the recommended arms, and labels alone to compare them with."""
    return [arm for arm in ARMS if arm in {*recommended, REFERENCE}]


def advice_html(advice: Advice) -> str:
    """The sentences, and a table of what to expect of every arm."""
    body = [
        (
            network_name(arm, arm_title(arm)),
            [
                (f"{100 * low:.0f} to {100 * high:.0f} %", ""),
                ("recommended" if arm in advice.recommended else "–", ""),
            ],
        )
        for arm, (low, high) in advice.expected.items()
    ]
    names = ("Expected test top-1", "Recommended")
    time = duration(advice.seconds)
    caption = "What to expect, from the nearest trainings of the map"
    if time:
        caption += f"; one seed of the recommended arms takes {time} here"
    return notice(advice.why, calm=True) + table_html(f"{caption}.", "Arm", names, body)


def _advise(order: Order, regimes: Path, emit: Emit) -> Advice:
    return engine().advise(order.recipe, regimes=regimes, emit=emit)


def map_figure(config: AppConfig, against: object, width: object) -> str:
    """The map as a figure's JSON. Raises ``UserError`` where it cannot be read."""
    strength: Strength = "probe" if against == "probe" else "zero_shot"
    regimes = summarize(read_rows(config.regimes))
    return figure_json(figures.regime_panels(regimes, strength, min(2, panel_columns(width))))
