"""HTML from templates: what came from outside is escaped, once."""

from __future__ import annotations

from app.ui.notice import hint, notice
from app.ui.tables import table_html
from app.ui.templates import render


def test_values_are_escaped_and_rendered_html_is_not() -> None:
    link = render("csv_link", name='<b a="1">', content="")
    assert 'download="&lt;b a=&#34;1&#34;&gt;"' in link
    table = table_html("<i>", "Name", ["<u>"], [(link, [("<b>", "<s>")])])
    assert link in table
    assert not any(tag in table for tag in ("<i>", "<u>", "<b>", "<s>"))


def test_notices_hide_paths_and_have_their_role() -> None:
    assert 'role="alert"' in notice("x") and 'role="status"' in notice("x", calm=True)
    assert "/home/me" not in notice("no file /home/me/photos/a.jpg")
    assert "&lt;b&gt;" in hint("<b>", live=True)


def test_what_stands_in_backticks_is_code() -> None:
    html = notice("Run `python -m dait data check <folder>`, or <b>ask</b>.")
    assert "<code>python -m dait data check &lt;folder&gt;</code>" in html
    assert "&lt;b&gt;ask" in html and "`" not in html
