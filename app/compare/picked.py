"""Which images a visitor looks at in the Compare tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dait.errors import UserError

Pick = tuple[str, Any]
"""``("test", index)`` or ``("upload", path)``."""
Picks = tuple[Pick, ...]

MOST_ROWS = 6
"""Images below each other; each row costs a heatmap of every network."""

Made = TypeVar("Made")


class Picked:
    """One visitor's picks, first to last, and of which study they are.

    Changed in place, so that a handler that was called before a pick and ends after it sees it: it
    must not put the images before back.
    """

    def __init__(self) -> None:
        self._now: tuple[str, Picks] | None = None

    def of(self, study: str) -> Picks:
        """What is picked of this study; empty where nothing is."""
        return self._now[1] if self._now is not None and self._now[0] == study else ()

    def put(self, study: str, *picks: Pick) -> None:
        """Look at these from now on."""
        self._now = (study, picks)

    def with_one_more(self, study: str, pick: Pick, below: bool) -> Picks:
        """What would be looked at with ``pick``: it alone, or ``below`` those before.

        Raises ``UserError`` where no row is left.
        """
        before = self.of(study) if below else ()
        if pick in before:
            return before
        if len(before) == MOST_ROWS:
            raise UserError(
                f"At most {MOST_ROWS} images stand below each other. Remove one, or clear ‘Keep "
                "the rows before’."
            )
        return (*before, pick)

    def remove(self, study: str, place: object) -> None:
        """Look at the one at ``place`` no longer; the last one stays."""
        picks = self.of(study)
        if isinstance(place, int) and 0 <= place < len(picks) > 1:
            self.put(study, *picks[:place], *picks[place + 1 :])

    def made(self, study: str, make: Callable[[Picks], Made]) -> Made:
        """What ``make`` makes of the picks; anew where there are others by then."""
        while True:
            picks = self.of(study)
            found = make(picks)
            if self.of(study) == picks:
                return found
