"""What a chosen network costs and how fine its heatmaps can be, said before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from app.background import Work, Workers
from app.config import AppConfig
from app.ui.notice import notice
from app.ui.wording import count, escape
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

    name: what the visitor chose; None for the recipe's own, ``usual``, which gives a chosen one
    its stride.
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
class Looked:
    """A network's facts; ``refused``: the recipe's stride, where the network cannot take it."""

    facts: NetworkFacts
    refused: int | None = None


class Looks:
    """Networks that are looked at in the background, for all visitors alike."""

    def __init__(self) -> None:
        self._works: Workers[Looked] = Workers(KEPT)

    def at(self, wanted: NetworkQuery) -> Work[Looked]:
        """The work that looks at this network: begun now, going on, or done."""
        known = self._works.get(wanted)
        return known or self._works.start(wanted, lambda emit: _look(wanted, emit))


def offered_network(config: AppConfig, name: object) -> str:
    """A network's name from a browser; ``UserError`` for one that is not offered here.

    Whether there is such a network shows when its spec is made.
    """
    if isinstance(name, str) and name in CURATED_NAMES:
        return name
    # The user of this machine may train any; strangers may not fill its memory.
    if config.paths and isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
        return name
    raise UserError("Choose the network from the list.")


def at_a_stride_it_takes(
    name: str, stride: int, attempt: Callable[[NetworkSpec], Result]
) -> tuple[NetworkSpec, Result]:
    """What ``attempt`` makes of the network at this stride, or at its own where it is refused.

    Raises ``UserError`` for a name that is none, and where it cannot be built either way.
    """
    spec = NetworkSpec(name=name)
    if stride == OWN_STRIDE:
        return spec, attempt(spec)
    dilated = NetworkSpec.model_validate({"name": name, "output_stride": stride})
    try:
        return dilated, attempt(dilated)
    except UserError:
        return spec, attempt(spec)


def look_html(wanted: NetworkQuery, work: Work[Looked]) -> str:
    """The line under a choice of network: its facts, or why there are none, or none yet."""
    if work.running:
        return f'<p class="ds-hint" role="status">Looking at {escape(wanted.title)} …</p>'
    if work.result is None:
        return notice(str(work.error))
    facts, refused = work.result.facts, work.result.refused
    channels, rows, columns = facts.map
    use = what_for(facts.name)
    parts = [
        f"{count(facts.parameters)} parameters with a head for {facts.num_classes} classes",
        f"{count(facts.macs)} multiply–accumulates an image of {facts.image_size} px",
        f"last map {channels} × {rows} × {columns}",
    ]
    line = f"<b>{escape(facts.name)}</b>{f' ({escape(use)})' if use else ''}: {', '.join(parts)}."
    if refused is not None:
        line += f" It cannot be dilated to the recipe's stride of {refused} and keeps its own."
    html = f'<p class="ds-hint">{line}</p>'
    if facts.coarse:
        html += notice(
            f"Heatmaps will be coarse: the last map has {rows} × {columns} positions. Larger "
            "images or a network that takes a smaller stride give finer ones.",
            calm=True,
        )
    return html


def _look(wanted: NetworkQuery, emit: Emit) -> Looked:
    from dait.models.facts import network_facts

    emit(Note(f"Looking at {wanted.title}"))
    usual = wanted.spec
    if wanted.name is None:
        return Looked(network_facts(usual, wanted.classes, wanted.size))
    spec, facts = at_a_stride_it_takes(
        wanted.name,
        usual.output_stride,
        lambda spec: network_facts(spec, wanted.classes, wanted.size),
    )
    kept = spec.output_stride == usual.output_stride
    return Looked(facts, None if kept else usual.output_stride)
