"""Pages that run a student, at an address of this server, so that a phone can open them."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.config import LOOPBACK
from app.ui.templates import render

GONE = "This page is no longer here: it is kept for an hour. Prepare it again in DAIT Studio.\n"


class StudentPages:
    """The pages that were made, each at an address that nobody can guess."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self.route = Route("/student/{token}", self._answer)

    def add(self, page: Path) -> str:
        """Serve a page as long as its file is there; its address, relative to the app's."""
        self._files = {token: file for token, file in self._files.items() if file.is_file()}
        token = secrets.token_urlsafe(9)
        self._files[token] = page
        return f"student/{token}"

    def _answer(self, request: Request) -> Response:
        page = self._files.get(request.path_params["token"])
        if page is None or not page.is_file():
            return PlainTextResponse(GONE, 404)
        return FileResponse(page, media_type="text/html")


def page_link(page: str, opened_at: str) -> Markup:
    """A link to a page, and its address as a QR code where other machines can open it.

    page: what ``StudentPages.add`` returned. opened_at: the app's address in the visitor's browser.
    """
    address = urljoin(opened_at, page)
    here_alone = (urlsplit(address).hostname or "") in LOOPBACK
    code = "" if here_alone else segno.make(address, micro=False).svg_inline(scale=4, light="#fff")
    return render("student_page", address=address, code=Markup(code))
