"""Which image a visitor looks at in the Compare tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Pick = tuple[str, Any]
"""``("test", index)`` or ``("upload", path)``."""

Made = TypeVar("Made")


class Picked:
    """One visitor's pick, and of which study it is.

    Changed in place, so that a handler that was called before a pick and ends after it sees it: it
    must not put the image before back.
    """

    def __init__(self) -> None:
        self._now: tuple[str, Pick] | None = None

    def of(self, study: str) -> Pick | None:
        """What is picked of this study."""
        return self._now[1] if self._now is not None and self._now[0] == study else None

    def put(self, study: str, pick: Pick) -> None:
        """Look at this from now on."""
        self._now = (study, pick)

    def made(self, study: str, make: Callable[[Pick | None], Made]) -> Made:
        """What ``make`` makes of the pick; anew where there is another one by then."""
        while True:
            pick = self.of(study)
            found = make(pick)
            if self.of(study) == pick:
                return found
