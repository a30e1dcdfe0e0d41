"""HTML from the Jinja2 templates in ``app/templates``, with everything escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.config import hide_paths
from app.ui import wording
from dait.config.arms import arm_title
from dait.evidence.palette import arm_colour

_ENVIRONMENT = Environment(
    loader=PackageLoader("app"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.globals["zip"] = zip
_ENVIRONMENT.filters.update(
    arm_colour=arm_colour,
    arm_title=arm_title,
    code=wording.code,
    count=wording.count,
    hide_paths=hide_paths,
    megabytes=wording.megabytes,
    milliseconds=wording.milliseconds,
    percent=wording.percent,
    points=wording.points,
)


def render(template: str, **values: Any) -> Markup:
    """The HTML of ``app/templates/<template>.html``.

    Values are escaped, except those that are ``Markup``: what this function returned before.
    """
    return Markup(_ENVIRONMENT.get_template(f"{template}.html").render(values).strip())
