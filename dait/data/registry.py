"""From a name or a folder's path to a data set."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.data.base import Dataset
from dait.errors import UserError
from dait.events import Emit, ignore


@dataclass(frozen=True)
class DatasetCard:
    """What a data set that is known by name is, for a list to choose from."""

    name: str
    title: str
    description: str
    licence: str
    homepage: str


_CARDS = (
    DatasetCard(
        name="fieldguide",
        title="Field Guide",
        description=(
            "40 drawn species of birds in 8 families, told apart by small parts, before six "
            "habitats; drawn on your machine, with masks of every part. No download."
        ),
        licence="Apache-2.0 (drawn by this project)",
        homepage="",
    ),
)


def list_datasets() -> list[DatasetCard]:
    """The data sets that ``open_dataset`` knows by name."""
    return list(_CARDS)


def open_dataset(
    source: str,
    *,
    size: int,
    seed: int = 0,
    habitat_bias: float = 0.7,
    val_fraction: float = 0.1,
    emit: Emit = ignore,
    **options: Any,
) -> Dataset:
    """``"fieldguide"``, or the path of a folder of photographs; nothing is drawn or decoded yet.

    size: pixels a side. seed: draws the Field Guide, splits a folder. habitat_bias and options
    (``train_per_class``, ``val_per_class``, ``test_per_class``, ``species``) are the Field Guide's;
    val_fraction is a folder's. A name goes before a folder of the same name (``./fieldguide``).

    Raises ``UserError`` for an unknown name, an unusable folder, or an option that does not fit.
    """
    if source == "fieldguide":
        return _open_fieldguide(emit, size=size, seed=seed, habitat_bias=habitat_bias, **options)
    path = Path(source).expanduser()
    # A string with a separator is meant as a path even when nothing is there.
    if source and (path.exists() or len(path.parts) > 1 or path.is_absolute()):
        if options:
            raise UserError(
                f"‘{source}’ is a folder of photographs, which has no {_words(options)}; only "
                "‘fieldguide’ has."
            )
        from dait.data.folder import open_folder

        return open_folder(path, size, val_fraction, split_seed=seed, emit=emit)
    known = [card.name for card in _CARDS]
    near = difflib.get_close_matches(source.lower(), known, n=1)
    hint = f" Did you mean ‘{near[0]}’?" if near else ""
    raise UserError(
        f"There is no data set ‘{source}’. Use {_words(known)}, or the path of a folder of "
        f"photographs.{hint}"
    )


def _open_fieldguide(emit: Emit, **options: Any) -> Dataset:
    from dait.data.fieldguide.dataset import FieldGuideOptions, open_fieldguide

    allowed = list(inspect.signature(FieldGuideOptions).parameters)
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UserError(
            f"The Field Guide has no option {_words(unknown)}. It has {_words(allowed)}."
        )
    return open_fieldguide(emit, **options)


def _words(names: Any) -> str:
    return ", ".join(f"‘{name}’" for name in names)
