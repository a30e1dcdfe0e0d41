"""A link to a view: what it says is what is shown, and what it cannot mean is said."""

from __future__ import annotations

from urllib.parse import parse_qsl

from app.compare.view_link import (
    KEYS,
    LinkState,
    RequestedView,
    StudyFacts,
    link_problems,
    read_view,
    restrict,
)

FACTS = StudyFacts(
    seeds=(0, 1), images=12, classes=4, roles=("vlm", "dait"), parts=("habitat=snow",)
)
FULL = LinkState(
    study="tiny-2026",
    seed=1,
    images=(3, 11),
    method="layercam",
    layer="layer3",
    target=2,
    sentence="a bird & a “crown”, 50 %",
    right=("dait",),
    wrong=("vlm",),
    label=0,
    part="habitat=snow",
    opacity=0.35,
)


def test_a_view_comes_back_from_its_link() -> None:
    query = dict(parse_qsl(FULL.query()))
    assert set(query) == set(KEYS)
    assert read_view(query) == (FULL, [])
    assert restrict(FULL, FACTS) == (FULL, [])


def test_what_is_by_default_is_not_said() -> None:
    assert LinkState(study="demo", images=(7,)).query() == "study=demo&images=7"
    assert read_view({"__theme": "dark"}) == (LinkState(), [])


def test_nonsense_is_left_out_and_told() -> None:
    view, problems = read_view(
        {"study": "demo", "seed": "one", "images": "1,x", "opacity": "0.2", "sentence": "a" * 400}
    )
    assert view == LinkState(study="demo", opacity=0.2)
    assert problems == ["seed “one”", "images “1,x”", f"sentence “{'a' * 40}…”"]


def test_what_a_study_has_not_is_the_default_and_told() -> None:
    requested = LinkState(
        "demo", 7, (3, 12, -1), "magic", "", 4, "", ("kd",), ("dait",), -1, "sky=red", 7
    )
    view, problems = restrict(requested, FACTS)
    assert view == LinkState("demo", images=(3,), wrong=("dait",))
    assert len(problems) == 8
    said = link_problems(problems)
    assert "test image 12 and -1" in said and "seed 7" in said and "default" in said
    assert link_problems([]) == ""


def test_an_opacity_that_is_no_number_is_refused() -> None:
    view, _ = read_view({"opacity": "nan"})
    assert restrict(view, FACTS)[0].opacity == LinkState().opacity


def test_a_visitor_arrives_once() -> None:
    arrival = RequestedView()
    assert arrival.get("demo") == LinkState("demo")
    assert arrival.study is None
    arrival.set(FULL, ["seed “x”"])
    assert arrival.study == FULL.study
    assert arrival.get("other") == LinkState("other")
    assert arrival.get(FULL.study) == FULL
    assert arrival.take(FULL.study) == FULL and arrival.take(FULL.study) == FULL
    assert arrival.problems == ("seed “x”",)
    assert arrival.take("other") == LinkState("other") and arrival.problems == ()
    assert arrival.take(FULL.study) == LinkState(FULL.study)
