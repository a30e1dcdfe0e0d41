"""A chosen network's cost and the resolution of its heatmaps, before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from app.background import Job, JobPool
from app.config import AppConfig
from app.server.loader import engine
from app.ui.notice import hint, notice
from app.ui.templates import render
from dait.errors import UserError
from dait.events import Emit, Note
from dait.models.catalogue import CURATED_NAMES, what_for
from dait.models.spec import NetworkSpec

if TYPE_CHECKING:
    from dait.models.facts import NetworkFacts

OWN_STRIDE = 32
LONGEST_NAME = 120
KEPT = 40
"""Networks whose facts are kept: a few numbers each."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class NetworkQuery:
    """Which network, for how many classes, on images of how many pixels a side.

    name: the visitor's choice; None for ``usual``, the recipe's own, whose stride a chosen
    network takes too.
    """

    name: str | None
    usual: str
    classes: int
    size: int

    @property
    def spec(self) -> NetworkSpec:
        return NetworkSpec.model_validate_json(self.usual)

    @property
    def title(self) -> str:
        return self.name or self.spec.name


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network's facts; refused: the recipe's stride, if the network cannot take it."""

    facts: NetworkFacts
    refused: int | None = None


class NetworkMeasurements:
    """Networks that are measured in the background, shared by all visitors."""

    def __init__(self) -> None:
        self._jobs: JobPool[MeasuredNetwork] = JobPool(KEPT)

    def of(self, query: NetworkQuery) -> Job[MeasuredNetwork]:
        """The job that measures this network: started now, running, or done."""
        known = self._jobs.get(query)
        return known or self._jobs.start(query, lambda emit: _measure(query, emit))


def offered_network(config: AppConfig, name: object) -> str:
    """A network's name from a browser; raises ``UserError`` for one that is not offered here.

    Whether the network exists is checked when its spec is made.
    """
    if isinstance(name, str) and name in CURATED_NAMES:
        return name
    # The user of this machine may train any; other visitors must not fill its memory.
    if config.paths and isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
        return name
    raise UserError("Choose the network from the list.")


def at_supported_stride(
    name: str, stride: int, attempt: Callable[[NetworkSpec], Result]
) -> tuple[NetworkSpec, Result]:
    """The result of ``attempt`` for the network at this stride, or at its own if that is refused.

    Raises ``UserError`` for an unknown name, and if it cannot be built either way.
    """
    spec = NetworkSpec(name=name)
    if stride == OWN_STRIDE:
        return spec, attempt(spec)
    dilated = NetworkSpec.model_validate({"name": name, "output_stride": stride})
    try:
        return dilated, attempt(dilated)
    except UserError:
        return spec, attempt(spec)


def facts_html(query: NetworkQuery, job: Job[MeasuredNetwork]) -> str:
    """The line under a choice of network: its facts, or why there are none, or none yet."""
    if job.running:
        return hint(f"Measuring {query.title} …", live=True)
    if job.result is None:
        return notice(str(job.error))
    facts = job.result.facts
    _, rows, columns = facts.map
    warning = ""
    if facts.coarse:
        warning = notice(
            f"Heatmaps will be coarse: the last feature map has {rows} × {columns} positions. "
            "Larger images, or a network that takes a smaller stride, give finer ones.",
            calm=True,
        )
    return render(
        "network_facts",
        facts=facts,
        use=what_for(facts.name),
        refused=job.result.refused,
        warning=warning,
    )


def _measure(query: NetworkQuery, emit: Emit) -> MeasuredNetwork:
    emit(Note(f"Measuring {query.title}"))
    usual = query.spec
    if query.name is None:
        return MeasuredNetwork(engine().network_facts(usual, query.classes, query.size))
    spec, facts = at_supported_stride(
        query.name,
        usual.output_stride,
        lambda spec: engine().network_facts(spec, query.classes, query.size),
    )
    kept = spec.output_stride == usual.output_stride
    return MeasuredNetwork(facts, None if kept else usual.output_stride)
