"""Which images are selected: the last choice counts, whatever is still being computed."""

from __future__ import annotations

import pytest

from app.compare.selection import MAX_ROWS, ImageRefs, Selection
from dait.errors import UserError


def test_every_study_has_its_own_selection() -> None:
    selection = Selection()
    assert selection.of("first") == ()
    selection.set("first", ("test", 3))
    assert selection.of("first") == (("test", 3),) and selection.of("second") == ()
    selection.set("second", ("upload", "mine.jpg"))
    assert selection.of("second") == (("upload", "mine.jpg"),)
    # A handler of the second study may end when the first one is shown again.
    assert selection.of("first") == (("test", 3),)


def test_what_was_begun_before_a_pick_is_made_anew() -> None:
    selection = Selection()
    selection.set("study", ("test", 1))
    made: list[ImageRefs] = []

    def make(picks: ImageRefs) -> str:
        made.append(picks)
        if len(made) == 1:  # while this is under way, the visitor picks another one
            selection.set("study", ("test", 2))
        return f"row of {picks[0][1]}"

    assert selection.compute("study", make) == "row of 2"
    assert made == [(("test", 1),), (("test", 2),)]


def test_rows_stand_below_each_other_and_can_be_removed() -> None:
    selection = Selection()
    for index in range(MAX_ROWS):
        selection.set("study", *selection.with_image("study", ("test", index), keep=True))
    assert selection.of("study") == tuple(("test", index) for index in range(MAX_ROWS))
    assert selection.with_image("study", ("test", 2), keep=True) == selection.of("study")
    assert selection.with_image("study", ("test", 9), keep=False) == (("test", 9),)
    with pytest.raises(UserError, match="At most 6"):
        selection.with_image("study", ("test", 9), keep=True)
    selection.remove("study", 1)
    assert [index for _, index in selection.of("study")] == [0, 2, 3, 4, 5]
    for place in (5, -1, "0", None):
        selection.remove("study", place)
    assert len(selection.of("study")) == 5
    selection.set("study", ("test", 4))
    selection.remove("study", 0)
    assert selection.of("study") == (("test", 4),)


def test_a_filter_moves_the_row() -> None:
    selection = Selection()
    selection.set("study", ("test", 1), ("upload", "mine.jpg"), ("test", 4))
    selection.narrow("study", [4, 7], 4, keep=False)
    assert selection.of("study") == (("test", 4),)
    selection.narrow("study", [7, 9], 7, keep=False)
    assert selection.of("study") == (("test", 7),)
    selection.narrow("study", [2], 2, keep=True)
    assert selection.of("study") == (("test", 7), ("test", 2))
    selection.narrow("study", [7], 7, keep=True)
    assert selection.of("study") == (("test", 7), ("test", 2))
    selection.narrow("study", [], None, keep=False)
    assert selection.of("study") == ()
