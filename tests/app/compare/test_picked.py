"""What a visitor looks at: the last pick wins, whoever was still busy with the one before."""

from __future__ import annotations

import pytest

from app.compare.picked import MOST_ROWS, Picked, Picks
from dait.errors import UserError


def test_a_pick_is_of_one_study() -> None:
    picked = Picked()
    assert picked.of("first") == ()
    picked.put("first", ("test", 3))
    assert picked.of("first") == (("test", 3),) and picked.of("second") == ()
    picked.put("second", ("upload", "mine.jpg"))
    assert picked.of("second") == (("upload", "mine.jpg"),) and picked.of("first") == ()


def test_what_was_begun_before_a_pick_is_made_anew() -> None:
    picked = Picked()
    picked.put("study", ("test", 1))
    made: list[Picks] = []

    def make(picks: Picks) -> str:
        made.append(picks)
        if len(made) == 1:  # while this is under way, the visitor picks another one
            picked.put("study", ("test", 2))
        return f"row of {picks[0][1]}"

    assert picked.made("study", make) == "row of 2"
    assert made == [(("test", 1),), (("test", 2),)]


def test_rows_stand_below_each_other_and_can_be_removed() -> None:
    picked = Picked()
    for index in range(MOST_ROWS):
        picked.put("study", *picked.with_one_more("study", ("test", index), below=True))
    assert picked.of("study") == tuple(("test", index) for index in range(MOST_ROWS))
    assert picked.with_one_more("study", ("test", 2), below=True) == picked.of("study")
    assert picked.with_one_more("study", ("test", 9), below=False) == (("test", 9),)
    with pytest.raises(UserError, match="At most 6"):
        picked.with_one_more("study", ("test", 9), below=True)
    picked.remove("study", 1)
    assert [index for _, index in picked.of("study")] == [0, 2, 3, 4, 5]
    for place in (5, -1, "0", None):
        picked.remove("study", place)
    assert len(picked.of("study")) == 5
    picked.put("study", ("test", 4))
    picked.remove("study", 0)
    assert picked.of("study") == (("test", 4),)
