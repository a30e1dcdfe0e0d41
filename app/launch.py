"""Serve the page first, import the heavy libraries afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from app.config import AppConfig, check_address, read_config
from dait.errors import UserError
from dait.storage.paths import make_absolute

QUEUE_LENGTH = 64


def main() -> None:
    """Start the app and serve until it is interrupted; exits with code 2 and a sentence if it
    cannot."""
    # Read by gradio when it is imported.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Figures of the last 10,000 events for Gradio's monitoring page, which is off: they were
    # computed anew, with pandas, after every event, and took as long as a prediction.
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**62)
    try:
        if sys.platform == "win32":
            raise UserError(
                "on Windows it cannot start and stop trainings, which takes process groups and "
                "signals. Run it in WSL 2; the command line, python -m dait, does not need them."
            )
        make_absolute()
        serve()
    except UserError as error:
        print(f"DAIT Studio cannot start: {error}", file=sys.stderr)
        sys.exit(2)


def serve(block: bool = True) -> str:
    """Build and launch the page, and import the libraries behind it; gives its address.

    Raises ``UserError`` for an environment variable that cannot be used.
    """
    # Before gradio, which reads its variables when it is imported and knows no sentence for them.
    config = read_config()
    check_address(config)
    if not os.environ.get("GRADIO_SERVER_PORT"):
        os.environ.pop("GRADIO_SERVER_PORT", None)  # empty means unset, but not to gradio
    if not config.paths:
        # For the trainers too. Read by the hub's library when it is imported, as by gradio.
        os.environ["HF_HUB_OFFLINE"] = "1"
    with _of_libraries():
        return _serve(config, block)


def _serve(config: AppConfig, block: bool) -> str:
    import gradio as gr
    from gradio.route_utils import delete_files_created_by_app
    from starlette.middleware import Middleware

    from app.background import keep_doing
    from app.compare.row_box import PHOTO_ID
    from app.compare.view_link import links_head
    from app.data.layout import UPLOAD_ID
    from app.page import CACHE_SECONDS, build_page
    from app.policy import Policy
    from app.predict.tab import PHOTOS_ID
    from app.queue.jobs import Jobs
    from app.server.failures import GuardedServer
    from app.server.loader import hold_back, import_behind_the_page, let_the_first_view_pass
    from app.server.open_stream import WORKERS
    from app.ui.photo_uploads import MAX_BYTES, limits_head
    from app.ui.plot import plot_head, plotly_script
    from app.ui.theme import studio_css, studio_theme

    limits = {PHOTO_ID: MAX_BYTES, PHOTOS_ID: MAX_BYTES, UPLOAD_ID: config.limits.archive_bytes}
    gr.set_static_paths([plotly_script()])
    jobs = Jobs(
        config.runs, config.at_once, config.limits.waiting, allow=Policy(config).require_order
    )
    page = build_page(config, jobs)
    hold_back(page)
    let_the_first_view_pass()
    page.queue(max_size=QUEUE_LENGTH, api_open=False)
    try:
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port,
            prevent_thread_lock=True,
            theme=studio_theme(),
            css=studio_css(),
            head=plot_head() + links_head() + limits_head(limits),
            max_file_size=max(limits.values()),
            enable_monitoring=False,
            ssr_mode=False,
            run_history=False,
            mcp_server=False,
            app_kwargs={"middleware": [Middleware(GuardedServer)], "lifespan": ours(config)},
            max_threads=WORKERS,
            share=False,
            footer_links=["gradio", "settings"],
            show_error=False,
            quiet=True,
        )
    except OSError as error:
        raise UserError(f"{error} Set GRADIO_SERVER_PORT to a free port.") from error
    print(f"DAIT Studio is at {address} (Ctrl+C ends it; trainings go on)", flush=True)
    jobs.keep_going()
    keep_doing(
        "Deleting old uploads",
        lambda: delete_files_created_by_app(page, CACHE_SECONDS),
        CACHE_SECONDS,
    )
    import_behind_the_page()
    if block:
        page.block_thread()
    return address


@contextmanager
def _of_libraries() -> Iterator[None]:
    """A variable that a library takes for a number and that is none, as a ``UserError``."""
    try:
        yield
    except ValueError as error:
        named = [name for name, value in os.environ.items() if value and repr(value) in str(error)]
        if not named:
            raise
        raise UserError(
            f"A library cannot use the environment variable {' or '.join(sorted(named))} "
            f"({error}). Correct it, or unset it."
        ) from error


def ours(config: AppConfig) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan that makes Gradio's server ours before it answers anybody.

    The guard is around all of it: Gradio adds its own middleware after any that it is given, and
    that answers the preflight requests of other websites before it asks anybody.
    """
    from app.server.guard import Guard
    from app.server.sessions import Sessions

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(app.middleware_stack, config)
        app.state_holder = Sessions(app.get_blocks())
        yield

    return lifespan
