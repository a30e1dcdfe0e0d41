"""The opening: its figures without a network, and the heatmaps that follow."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.compare.opening import first_opening, opening_html
from app.compare.views import CompareViews
from app.config import AppConfig
from app.studies.entries import finished_studies
from dait.evidence.heatmaps.explanation import Question
from dait.evidence.heatmaps.kept import heats_of, keep_heatmaps, kept_heatmaps

MEMBERS = 5


@pytest.fixture
def views(config: AppConfig) -> CompareViews:
    return CompareViews(config)


def test_the_page_comes_with_the_finding_and_an_image_that_the_students_dispute(
    config: AppConfig, views: CompareViews
) -> None:
    html = first_opening(views)
    opened = views.comparisons.get(finished_studies(config)[0].id)
    shown = opened.comparison.example()
    assert html.count("<figure") == MEMBERS and html.count("<dd") == MEMBERS
    assert 'class="heat"' not in html and f'data-image="{shown}"' in html
    assert re.search("p\u00a0(=|&lt;|&gt;)", html)
    right = re.findall(r"(✓|✗)", html)
    students = [
        int(opened.comparison.logits[member.key][shown].argmax() == opened.comparison.labels[shown])
        for member in opened.comparison.members
    ]
    assert [mark == "✓" for mark in right] == [bool(one) for one in students]
    if opened.comparison.disputed():
        assert 0 < sum(students[2:]) < len(students[2:])


def test_heatmaps_and_other_images_come_with_the_row(
    config: AppConfig, views: CompareViews
) -> None:
    opened = views.comparisons.get(finished_studies(config)[0].id)
    disputed = opened.comparison.disputed()
    index = disputed[-1]
    row = opened.row(opened.image(index), Question())
    html = opening_html(opened, index, heats_of(row))
    assert f'data-image="{index}"' in html and f'data-open="{index}"' in html
    offered = [int(found) for found in re.findall(r'<button[^>]* data-index="(\d+)"', html)]
    assert offered == disputed[: len(offered)] and offered
    assert html.count('class="heat"') == sum(not found.empty for found in row)


def test_kept_heatmaps_need_no_network_and_are_those_of_the_row(
    config: AppConfig, views: CompareViews
) -> None:
    opened = views.comparisons.get(finished_studies(config)[0].id)
    comparison, index = opened.comparison, opened.comparison.example()
    assert 'class="heat"' not in first_opening(views) and kept_heatmaps(comparison, index) is None
    row = opened.row(opened.image(index), Question())
    keep_heatmaps(comparison, index, row)
    kept = kept_heatmaps(comparison, index)
    assert kept is not None and kept_heatmaps(comparison, index + 1) is None
    for key, heat in heats_of(row).items():
        assert (heat is None) == (kept[key] is None)
        if heat is not None and kept[key] is not None:
            np.testing.assert_allclose(kept[key], heat, atol=1e-5)
    assert 'class="heat"' in first_opening(views)
    key = comparison.members[-1].key
    comparison.logits[key][index] += 1  # as another training would have it
    assert kept_heatmaps(comparison, index) is None
    comparison.logits[key][index] -= 1
    file = comparison.study.path / "heatmaps.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert kept_heatmaps(comparison, index) is None and "DAIT" in first_opening(views)


def test_a_study_that_cannot_be_read_leaves_the_opening_empty(
    config: AppConfig, views: CompareViews
) -> None:
    folder = config.runs.path / finished_studies(config)[0].id
    described = json.loads((folder / "study.json").read_text())
    described["classes"] = []
    (folder / "study.json").write_text(json.dumps(described))
    assert first_opening(views) == ""
