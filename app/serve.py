"""Serve the page, and load the engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import gradio as gr
from gradio.route_utils import delete_files_created_by_app
from starlette.middleware import Middleware

from app.background import keep_doing
from app.compare.row_box import PHOTO_ID
from app.compare.view_link import links_head
from app.config import AppConfig
from app.data.layout import UPLOAD_ID
from app.page import CACHE_SECONDS, build_page
from app.policy import Policy
from app.predict.tab import PHOTOS_ID
from app.queue.training_queue import TrainingQueue
from app.server.failures import GuardedServer
from app.server.guard import Guard
from app.server.kept_page import KeptPage
from app.server.loader import hold_back, load_in_background, wait_for_first_view
from app.server.sessions import Sessions
from app.ui.photo_uploads import MAX_BYTES, limits_head
from app.ui.plot import plot_head, plotly_script
from app.ui.scripts import scripts_head
from app.ui.theme import studio_css, studio_theme
from dait.errors import UserError

QUEUE_LENGTH = 64
QUEUE_POLL_SECONDS = 0.01
"""How often Gradio looks for events when none came; it would every millisecond, which a server at
rest pays for."""


def serve(config: AppConfig, block: bool) -> str:
    """Build and launch the page; returns its address. block: until it is interrupted.

    Raises ``UserError`` if the port is in use.
    """
    limits = {PHOTO_ID: MAX_BYTES, PHOTOS_ID: MAX_BYTES, UPLOAD_ID: config.limits.archive_bytes}
    gr.set_static_paths([plotly_script()])
    queue = TrainingQueue(
        config.runs, config.at_once, config.limits.waiting, allow=Policy(config).require_order
    )
    page = build_page(config, queue)
    hold_back(page)
    wait_for_first_view()
    page.queue(max_size=QUEUE_LENGTH, api_open=False)
    page._queue.sleep_when_free = QUEUE_POLL_SECONDS
    try:
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port,
            prevent_thread_lock=True,
            theme=studio_theme(),
            css=studio_css(),
            head=scripts_head() + plot_head() + links_head() + limits_head(limits),
            max_file_size=max(limits.values()),
            enable_monitoring=False,
            ssr_mode=False,
            run_history=False,
            mcp_server=False,
            app_kwargs={
                "middleware": [Middleware(GuardedServer)],
                "lifespan": lifespan(config),
                "routes": page.routes,
            },
            share=False,
            footer_links=["gradio", "settings"],
            show_error=False,
            quiet=True,
            # Gradio would ask itself for the page, and end if that took a busy machine 3 seconds.
            _frontend=False,
        )
    except OSError as error:
        raise UserError(f"{error} Set GRADIO_SERVER_PORT to a free port.") from error
    print(f"DAIT Studio is at {address} (Ctrl+C ends it; trainings continue)", flush=True)
    queue.keep_going()
    keep_doing(
        "Deleting old uploads",
        lambda: delete_files_created_by_app(page, CACHE_SECONDS),
        CACHE_SECONDS,
    )
    load_in_background()
    if block:
        page.block_thread()
    return address


def lifespan(config: AppConfig) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Put our guard, page and sessions into Gradio's server before it answers its first request.

    The guard must be outermost: Gradio adds its own middleware around the given ones, which would
    answer the preflight requests of other websites first.
    """

    @asynccontextmanager
    async def start(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(KeptPage(app.middleware_stack), config)
        app.state_holder = Sessions(app.get_blocks())
        yield

    return start
