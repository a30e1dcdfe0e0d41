"""Before you train: which arms are worth it with the form's data and recipe, and the map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app.background import Job, JobPool
from app.config import AppConfig
from app.policy import Policy
from app.server.loader import engine
from app.studies.order import Order
from app.train.form import FormValues, read_form
from app.ui.notice import HIDDEN_NOTICE, Update, hint, notice, notice_box, progress_html
from app.ui.plot import WIDE, figure_json, panel_columns, plot_box
from app.ui.tables import network_name, table_html
from app.ui.wording import duration
from dait.config.arms import ARMS, arm_title
from dait.errors import UserError
from dait.evaluation.advice import Advice
from dait.evaluation.regimes import REFERENCE, read_rows, summarize
from dait.evidence import figures
from dait.evidence.figures.regimes import Strength

POLL_SECONDS = 0.7
SOON_SECONDS = 0.4
"""How long a press waits for a sentence about what is wrong before it shows progress."""

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
WITH_WIDTH = "(against, _) => [against, window.innerWidth]"
OUTDATED = "The form has changed since this was asked. Ask again."
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
        self._jobs: JobPool[Advice] = JobPool()

    def start(self, order: Order) -> tuple[str, Job[Advice]]:
        """The job that measures this order, and its key.

        Raises ``UserError`` for what may not be trained, and without a map; later errors are in
        the job.
        """
        self._policy.require_order(order)
        read_rows(self._map)
        key = order.recipe.to_yaml()
        job = self._jobs.start(
            key, lambda emit: engine().advise(order.recipe, regimes=self._map, emit=emit)
        )
        return key, job

    def get(self, key: str) -> Job[Advice] | None:
        """The job of this key, running or done recently."""
        return self._jobs.get(key)


@dataclass(frozen=True)
class AdviceBox:
    """The fold and what is in it; asked: the key of the page's job; arms: the recommended ones."""

    fold: gr.Accordion
    ask: gr.Button
    message: gr.HTML
    result: gr.HTML
    take: gr.Button
    against: gr.Radio
    plot: gr.HTML
    unmapped: gr.HTML
    timer: gr.Timer
    asked: gr.State
    arms: gr.State
    width: gr.Number


def advice_box() -> AdviceBox:
    """Lay it out, folded."""
    with gr.Accordion("Before you train", open=False, elem_id="advice") as fold:
        gr.HTML(EXPLAINED, apply_default_css=False)
        ask = gr.Button("Which arms are worth it?", size="sm", elem_id="advice-ask")
        message = notice_box("advice-notice")
        result = gr.HTML("", elem_id="advised", apply_default_css=False)
        take = gr.Button("Take these arms", visible=False, size="sm", elem_id="advice-take")
        against = gr.Radio(
            AGAINST,
            value="zero_shot",
            label="The map: when does which arm pay, by what the frozen teacher knows",
            visible=False,
            elem_id="map-against",
        )
        plot = plot_box(
            "Gain of every arm over labels alone, against how good the frozen teacher is",
            700,
            visible=False,
            elem_id="map",
        )
        unmapped = notice_box("map-notice")
    return AdviceBox(
        fold=fold,
        ask=ask,
        message=message,
        result=result,
        take=take,
        against=against,
        plot=plot,
        unmapped=unmapped,
        timer=gr.Timer(POLL_SECONDS, active=False),
        asked=gr.State(""),
        arms=gr.State([]),
        width=gr.Number(WIDE, visible=False),
    )


def wire_advice_box(box: AdviceBox, config: AppConfig, fields: dict[str, Any]) -> None:
    """Ask, poll for the answer, take it over, and drop it when what it is about changes.

    fields: the form's component of each field of ``FormValues``, in its order.
    """
    advisor = Advisor(config)

    def ask(*values: Any) -> Update:
        try:
            # Whatever is ticked now, and be it nothing: it is the advice that says which arms.
            order = read_form(config, replace(FormValues(*values), arms=list(ARMS)))
            key, job = advisor.start(order)
        except UserError as error:
            return {box.message: notice(str(error).strip())} | _ended(box)
        job.wait(SOON_SECONDS)
        return {box.asked: key, box.message: HIDDEN_NOTICE, **_shown(box, job)}

    def poll(key: str) -> Update:
        job = advisor.get(key) if key else None
        if job is None:  # dropped, or forgotten after others
            return {box.timer: gr.Timer(active=False)}
        return _shown(box, job)

    def drop(key: str) -> Update:
        if not key:
            return {box.message: gr.skip()}  # Gradio takes no empty dict
        return {box.message: notice(OUTDATED, calm=True)} | _ended(box)

    outputs = [box.asked, box.arms, box.message, box.result, box.take, box.timer]
    box.ask.click(ask, list(fields.values()), outputs, concurrency_limit=2, **QUIET)
    box.timer.tick(poll, box.asked, outputs, concurrency_limit=None, **QUIET)
    apart = ("arms", "seed_count", "first_seed", "epochs")
    about = [component.change for name, component in fields.items() if name not in apart]
    gr.on(about, drop, box.asked, outputs, concurrency_limit=None, **QUIET)
    box.take.click(with_reference, box.arms, fields["arms"], **QUIET)
    _wire_map(box, config)


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


def map_figure(config: AppConfig, against: object, width: object) -> str:
    """The map as a figure's JSON. Raises ``UserError`` where it cannot be read."""
    strength: Strength = "probe" if against == "probe" else "zero_shot"
    regimes = summarize(read_rows(config.regimes))
    return figure_json(figures.regime_panels(regimes, strength, min(2, panel_columns(width))))


def _wire_map(box: AdviceBox, config: AppConfig) -> None:
    def draw(against: object, width: object) -> Update:
        try:
            figure = map_figure(config, against, width)
        except UserError as error:
            # Without a map there is no advice to ask for.
            return {box.unmapped: notice(str(error), calm=True), box.ask: gr.update(visible=False)}
        return {
            box.ask: gr.update(visible=True),
            box.unmapped: HIDDEN_NOTICE,
            box.against: gr.update(visible=True),
            box.plot: gr.update(value=figure, visible=True),
        }

    gr.on(
        [box.fold.expand, box.against.input],
        draw,
        [box.against, box.width],
        [box.unmapped, box.ask, box.against, box.plot],
        js=WITH_WIDTH,
        concurrency_limit=2,
        trigger_mode="always_last",
        **QUIET,
    )


def _shown(box: AdviceBox, job: Job[Advice]) -> Update:
    if job.running:
        return {
            box.result: progress_html(job),
            box.take: gr.update(visible=False),
            box.timer: gr.Timer(active=True),
        }
    if job.result is None:
        return {box.message: notice(str(job.error))} | _ended(box)
    return {
        box.result: advice_html(job.result),
        box.arms: list(job.result.recommended),
        box.take: gr.update(visible=True),
        box.timer: gr.Timer(active=False),
    }


def _ended(box: AdviceBox) -> Update:
    """Nothing is asked."""
    return {
        box.asked: "",
        box.arms: [],
        box.result: "",
        box.take: gr.update(visible=False),
        box.timer: gr.Timer(active=False),
    }
