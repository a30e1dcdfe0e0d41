"""What a visitor looks at: the last pick wins, whoever was still busy with the one before."""

from __future__ import annotations

from app.picked import Pick, Picked


def test_a_pick_is_of_one_study() -> None:
    picked = Picked()
    assert picked.of("first") is None
    picked.put("first", ("test", 3))
    assert picked.of("first") == ("test", 3) and picked.of("second") is None
    picked.put("second", ("upload", "mine.jpg"))
    assert picked.of("second") == ("upload", "mine.jpg") and picked.of("first") is None


def test_what_was_begun_before_a_pick_is_made_anew() -> None:
    picked = Picked()
    picked.put("study", ("test", 1))
    made: list[Pick | None] = []

    def make(pick: Pick | None) -> str:
        made.append(pick)
        if len(made) == 1:  # while this is under way, the visitor picks another one
            picked.put("study", ("test", 2))
        return f"row of {pick}"

    assert picked.made("study", make) == "row of ('test', 2)"
    assert made == [("test", 1), ("test", 2)]
