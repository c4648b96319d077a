"""HTML of results for notebooks: small, complete in itself, every text escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

from alexnet.io.text import printable


def escape(text: object) -> str:
    """Escape any text for HTML."""
    return html.escape(printable(str(text)))


def panel(title: str, parts: Iterable[str]) -> str:
    """HTML of a bold title above parts, which are HTML."""
    body = "\n".join(f"<div>{part}</div>" for part in parts)
    return (
        f'<div style="line-height: 1.5"><div style="font-weight: bold">{escape(title)}</div>\n'
        f"{body}\n</div>"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """HTML of names and values in two columns."""
    rows = "".join(
        f'<tr><td style="text-align: left; color: #767676">{escape(name)}</td>'
        f'<td style="text-align: left">{escape(value)}</td></tr>'
        for name, value in pairs
    )
    return f"<table>{rows}</table>"


def picture(data: bytes, alt: str, width: int | None = None, kind: str = "png") -> str:
    """HTML of an image, embedded as a `data:` URL.

    Args:
        data: the content of an image file.
        alt: alternative text.
        width: width in pixels; None for the image's own.
        kind: format of the file, "png" or "jpeg".
    """
    size = f' width="{width}"' if width else ""
    text = base64.b64encode(data).decode()
    return f'<img alt="{escape(alt)}"{size} src="data:image/{kind};base64,{text}">'


def bar(fraction: float, width: int = 160) -> str:
    """HTML of a horizontal bar, which is `width` pixels long for the fraction 1."""
    length = round(width * min(max(fraction, 0.0), 1.0))
    return (
        f'<div style="width: {width}px; background: #e6e6e6">'
        f'<div style="width: {length}px; height: .8em; background: #0072b2"></div></div>'
    )
