"""The page: a header and three tabs."""

from __future__ import annotations

import gradio as gr

from app.about_tab import build_about_tab
from app.compare_tab import build_compare_tab
from app.compare_views import CompareViews
from app.jobs import Jobs
from app.place import Place
from app.train_tab import build_train_tab

TITLE = "DAIT Studio"
HEAD = (
    '<header class="ds-head"><h1>DAIT Studio</h1>'
    "<p>Distil a vision-language model into a small classifier, and see where each network "
    "looks.</p></header>"
)
CACHE_SECONDS = 3600
"""Uploads older than this are deleted, looked for as often."""


def build_page(place: Place) -> gr.Blocks:
    """The whole page; it trains nothing, draws nothing and loads no network."""
    jobs, views = Jobs(place.runs), CompareViews(place)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    ) as page:
        gr.HTML(HEAD, apply_default_css=False)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Compare", id="compare") as compare_panel:
                compare = build_compare_tab(views)
            with gr.Tab("Train", id="train"):
                build_train_tab(page, place, jobs, tabs, compare)
            with gr.Tab("About", id="about"):
                build_about_tab()
        page.load(
            compare.refreshed,
            None,
            compare.study,
            api_visibility="private",
            show_progress="hidden",
        )
        compare_panel.select(
            compare.kept,
            compare.study,
            compare.study,
            api_visibility="private",
            show_progress="hidden",
        )
    return page
