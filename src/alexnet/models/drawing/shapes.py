"""Polygons, lines and texts of a drawing, and their SVG."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

from alexnet.io.text import printable

Point: TypeAlias = tuple[float, float]
"""x to the right and y downwards, in units of the drawing."""

FONTS = "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
CHARACTER_WIDTHS = {
    **dict.fromkeys("fijlrtI.,:;'|!()[] ", 0.34),
    **dict.fromkeys("mwMW@%×+=~", 0.9),
}
"""Widths of the characters that are narrower or wider than OTHER_WIDTH, as fractions of the font
size; rather too wide than too narrow."""
OTHER_WIDTH, CAPITAL_WIDTH, WIDE_WIDTH = 0.6, 0.74, 1.05
BOLD = 1.06
"""Width of bold text relative to regular text."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon, or an open line if it has no fill."""

    points: tuple[Point, ...]
    fill: str = ""
    stroke: str = ""
    opacity: float = 1.0
    """Opacity of the fill, 0 to 1."""
    width: float = 0.7
    """Width of the stroke, in units of the drawing."""
    role: str = ""
    """What the polygon shows, which is the class of its SVG element."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; `y` is its baseline."""

    x: float
    y: float
    text: str
    size: float = 11.0
    color: str = "#222222"
    anchor: str = "middle"
    is_bold: bool = False
    layer: str = ""
    """Name of the layer that the text is about; "" if there is none."""

    @property
    def width(self) -> float:
        """An upper estimate of the width of the text."""
        return text_width(self.text, self.size * (BOLD if self.is_bold else 1.0))


@dataclass(frozen=True, slots=True)
class Group:
    """The shapes of one layer, with a tooltip."""

    layer: str
    title: str
    items: tuple[Polygon | Text, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a white page, from back to front."""

    title: str
    width: float
    height: float
    items: tuple[Polygon | Text | Group, ...]

    def flat(self) -> Iterator[Polygon | Text]:
        """All polygons and texts, those of groups included."""
        for item in self.items:
            yield from item.items if isinstance(item, Group) else (item,)

    def svg(self) -> str:
        """The drawing as an SVG document."""
        width, height = number(self.width), number(self.height)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="{FONTS}">'
        )
        body = [line for item in self.items for line in _svg(item)]
        title = f"<title>{escape(printable(self.title))}</title>"
        page = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
        return "\n".join([head, title, page, *body, "</svg>"]) + "\n"


def text_width(text: str, size: float) -> float:
    """An upper estimate of the width of a line of text."""
    return size * sum(map(_character_width, text))


def _character_width(c: str) -> float:
    if unicodedata.east_asian_width(c) in "WF":
        return WIDE_WIDTH
    return CHARACTER_WIDTHS.get(c, CAPITAL_WIDTH if c.isupper() else OTHER_WIDTH)


def shortened(text: str, size: float, width: float) -> str:
    """The text, cut so that it is at most `width` wide."""
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip(' ,;:')}…"


def number(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _svg(item: Polygon | Text | Group) -> list[str]:
    match item:
        case Polygon():
            return [_svg_polygon(item)]
        case Text():
            return [_svg_text(item)]
    inner = [line for one in item.items for line in _svg(one)]
    title = f"<title>{escape(printable(item.title))}</title>"
    return [f"<g data-layer={quoteattr(item.layer)}>", title, *inner, "</g>"]


def _svg_polygon(shape: Polygon) -> str:
    attributes = {
        "class": shape.role,
        "points": _points(shape.points),
        "fill": shape.fill or "none",
        "fill-opacity": number(shape.opacity) if shape.opacity < 1 else "",
        "stroke": shape.stroke,
        "stroke-width": number(shape.width) if shape.stroke else "",
        "stroke-linejoin": "round" if shape.stroke else "",
    }
    return _element("polygon" if shape.fill else "polyline", attributes)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def _svg_text(text: Text) -> str:
    attributes = {
        "x": number(text.x),
        "y": number(text.y),
        "font-size": number(text.size),
        "fill": text.color,
        "text-anchor": text.anchor,
        "font-weight": "bold" if text.is_bold else "",
        "data-layer": text.layer,
    }
    return _element("text", attributes, escape(printable(text.text)))


def _element(tag: str, attributes: dict[str, str], content: str = "") -> str:
    words = " ".join([tag, *(f"{k}={quoteattr(v)}" for k, v in attributes.items() if v)])
    return f"<{words}>{content}</{tag}>" if content else f"<{words}/>"
