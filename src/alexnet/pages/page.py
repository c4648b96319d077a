"""Render a Jinja template as one self-contained HTML file."""

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
"""The content security policy: allows the page's script by its hash, and no other sources."""


def render_page(
    folder: Path, name: str, content: dict[str, Any], connect: str = "'none'", shared: str = ""
) -> str:
    """Render the template `NAME.html` in a folder; NAME.css and NAME.js beside it are inlined.

    The template extends `base.html`, and fills its blocks `title` and `main`. Texts are escaped;
    control characters and bytes that are not UTF-8 are shown as escapes.

    Args:
        folder: the folder of the template.
        name: the name of the template, without a suffix.
        content: the template's variables.
        shared: the name, without a suffix, of CSS and a script in the folder that are inlined
            before the page's own.
        connect: the policy's `connect-src`; "'self'" for a page that refreshes itself.
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
    """The hash of a script in the form of a content security policy: "sha256-..."."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def number(value: float | None, decimals: int = 0) -> str:
    """A number with separators of thousands; a dash for None."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction from 0 to 1 as percent; a dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.{decimals}f} %"


def _texts(folder: Path, names: Sequence[str], suffix: str) -> str:
    """The text of `base` and of the named files with a suffix, without those that do not exist."""
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
    """Make the value of an expression printable, unless it is markup."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
