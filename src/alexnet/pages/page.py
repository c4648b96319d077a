"""A template filled and made one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from alexnet.io.text import printable

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{script}'; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'"
)
"""The content security policy: the script whose hash it has, and nothing from elsewhere."""


def render_page(
    folder: Path, name: str, content: dict[str, Any], connect: str = "'none'", shared: str = ""
) -> str:
    """The page of a template: `NAME.html` in a folder, beside which may be NAME.css and NAME.js.

    The template extends `base.html`, and fills its blocks `title` and `main`. Texts are escaped;
    control characters and bytes that are not UTF-8 are shown as escapes.

    Args:
        folder: of the template.
        name: of the template, without a suffix.
        content: the template's variables.
        shared: the name of CSS and a script in the folder that come before the page's own.
        connect: what the script may fetch; "'self'" for a page that refreshes itself.
    """
    names = [shared, name] if shared else [name]
    script = _texts(folder, names, ".js")
    policy = POLICY.format(script=script_hash(script), connect=connect)
    return (
        _environment(folder)
        .get_template(f"{name}.html")
        .render(
            **content,
            policy=policy,
            style=Markup(_texts(folder, names, ".css")),
            script=Markup(script),
        )
    )


def script_hash(script: str) -> str:
    """The hash of a script, as a content security policy has it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def number(value: float | None, decimals: int = 0) -> str:
    """A number with separators of thousands; a dash for None."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction from 0 to 1 as percent; a dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.{decimals}f} %"


def _texts(folder: Path, names: Sequence[str], suffix: str) -> str:
    """The file of all pages, then those of this page, as far as they are there."""
    paths = [HERE / f"base{suffix}", *(folder / f"{name}{suffix}" for name in names)]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def _finalize(value: Any) -> Any:
    """What an expression prints; text of a template stays, other text becomes printable."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
