"""The data that can be opened and trained on: by name, offered folders, uploads, own paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.catalogue.uploads import Uploads
from app.config import AppConfig
from dait.data.folders.names import on_disk
from dait.data.sources.catalogue import DatasetCard, list_datasets
from dait.errors import UserError
from dait.storage.paths import absolute

FIELD_GUIDE = "fieldguide"
FOLDER, UPLOAD, PATH, HUB = "folder:", "upload:", "path:", "hf:"
_LONGEST_PATH = 4000


class Sources:
    """The data of one app.

    A value identifies a choice: a data set's name, or one of the prefixes above and a name. Values
    come back from a browser and are checked by ``resolve``.
    """

    def __init__(self, config: AppConfig) -> None:
        self.config = config
        self.uploads = Uploads(config)

    def choices(self, also: object = None) -> list[tuple[str, str]]:
        """(title, value) of all data; also: a path or hub value to include."""
        cards = [
            (title if card.available else f"{title} (to download)", value)
            for card in self.cards()
            for title, value in _ways(card)
        ]
        uploads = [(f"{name} (uploaded)", UPLOAD + name) for name in self.uploads.names()]
        folders = [(f"{name} (folder)", FOLDER + name) for name in self.config.data]
        found = [*cards[:1], *uploads, *folders, *cards[1:]]
        if isinstance(also, str) and also.startswith((PATH, HUB)) and self.config.paths:
            found.insert(1, (also.removeprefix(PATH), also))
        return found

    def cards(self) -> list[DatasetCard]:
        """The named data sets; those to be downloaded only for the user of this machine."""
        return [card for card in list_datasets() if card.available or self.config.paths]

    def card(self, value: object) -> DatasetCard | None:
        """The card of a value; None if it has none."""
        for card in self.cards():
            for position, (title, way) in enumerate(_ways(card)):
                if way == value:
                    # The classes that a card counts are those of its first way.
                    return replace(card, title=title, classes=None if position else card.classes)
        return None

    def title(self, value: object) -> str | None:
        """The title of a value; None if it is not among the choices."""
        card = self.card(value)
        if card is not None:
            return card.title
        return next((title for title, known in self.choices(value) if known == value), None)

    def named(self, text: object) -> str:
        """The value for a typed path of this machine, or for ``hf:owner/name``.

        Raises ``UserError`` if it is not allowed or does not exist.
        """
        typed = text.strip() if isinstance(text, str) else ""
        if not typed:
            raise UserError("Type the path of a folder, an archive or a CSV file.")
        value = typed if typed.startswith(HUB) else f"{PATH}{on_disk(absolute(typed))}"
        self.resolve(value)
        return value

    def resolve(self, value: object) -> str:
        """The source for ``open_dataset``. Raises ``UserError`` for an unknown value."""
        if not isinstance(value, str) or len(value) > _LONGEST_PATH:
            raise UserError("Choose the data from the list.")
        if self.card(value) is not None:
            return value
        if value.startswith(FOLDER) and value.removeprefix(FOLDER) in self.config.data:
            return str(self.config.data[value.removeprefix(FOLDER)])
        if value.startswith(UPLOAD):
            return str(self.uploads.path(value.removeprefix(UPLOAD)))
        # Other visitors may only choose from the list; typed values are ignored.
        if self.config.paths and value.startswith(HUB):
            return value
        if self.config.paths and value.startswith(PATH):
            path = value.removeprefix(PATH)
            if _is_there(path):
                return path
            raise UserError(f"There is nothing at ‘{path}’. Is it spelled right?")
        raise UserError("Choose the data from the list.")


def _ways(card: DatasetCard) -> list[tuple[str, str]]:
    """(title, value) of a card: one, or one for each way to label its images."""
    if not card.variants:
        return [(card.title, card.name)]
    return [(f"{card.title}, by {variant}", f"{card.name}:{variant}") for variant in card.variants]


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a path, or with characters that no path has
        return False
