"""Single test images of a study, drawn or decoded one by one: the split is not built for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from dait.config.inputs import DataConfig
from dait.data.fieldguide.dataset import FieldGuideOptions, record
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import ImageEntry
from dait.data.images.decode import decode_image
from dait.data.sources.catalogue import list_datasets
from dait.data.sources.registry import open_dataset
from dait.errors import UserError


class SingleImages:
    """The test images of the data that a study was trained on; several threads may ask."""

    def __init__(self, data: DataConfig, hint: Callable[[], str] = str) -> None:
        """hint: says what else to do where the photographs are gone."""
        self._data, self._hint = data, hint
        self._entries: dict[str, ImageEntry] | None = None
        self._listing = threading.Lock()

    def image(self, index: int, image_id: str) -> np.ndarray:
        """``(S, S, 3)`` uint8: what the test split has at ``index`` under ``image_id``.

        Raises ``UserError`` where the photographs, or this one, are gone or damaged.
        """
        if self._data.source == "fieldguide":
            return _drawn(self._data, index)
        root = Path(self._data.source).expanduser()
        if root.is_dir():
            # Ids come from a file: they must not lead elsewhere.
            path = (root / image_id).resolve()
            if not path.is_relative_to(root.resolve()) or not path.is_file():
                raise self._gone(image_id)
            return decode_image(path, self._data.framing)
        if root.is_absolute() and not root.exists():
            raise self._gone(image_id)
        entry = self._listed().get(image_id)
        if entry is None or not entry.file.is_file():
            raise self._gone(image_id)
        return decode_image(entry.file, self._data.framing, trim=entry.trim)

    def _gone(self, image_id: str) -> UserError:
        return UserError(
            f"The photograph ‘{image_id}’ was in ‘{self._data.source}’ when this study was trained "
            f"and is not there now. Put the photographs back, or upload an image instead."
            f"{self._hint()}"
        )

    def _listed(self) -> dict[str, ImageEntry]:
        """The test images of an archive, a table, a benchmark or a data set of the hub, by id."""
        with self._listing:
            if self._entries is None:
                self._entries = _test_entries(self._data)
            return self._entries


def _test_entries(data: DataConfig) -> dict[str, ImageEntry]:
    # Looking at a picture must not start a download of gigabytes.
    name = data.source.partition(":")[0]
    if any(card.name == name and not card.available for card in list_datasets()):
        raise UserError(
            f"The data set ‘{data.source}’ that this study was trained on is not on this machine. "
            f"Get it with `python -m dait data check {data.source}`, or upload an image instead."
        )
    opened = open_dataset(
        data.source, size=data.size, seed=data.seed, val_fraction=data.val_fraction
    )
    assert isinstance(opened, ImageFileDataset)
    return {entry.id: entry for entry in opened.listing.splits["test"]}


def _drawn(data: DataConfig, index: int) -> np.ndarray:
    names = {field.name for field in fields(FieldGuideOptions)}
    options = FieldGuideOptions(**data.model_dump(include=names))
    return record(options, "test", index).scene.image
