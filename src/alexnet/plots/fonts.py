"""Find installed fonts with the glyphs of a text; matplotlib's own lacks Chinese, for example."""

from __future__ import annotations

from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from alexnet.io.text import printable

DEFAULT = "DejaVu Sans"
PLACEHOLDERS = "Last Resort"
"""A font that comes with matplotlib and has a box for every character."""


@cache
def _open(path: str) -> FT2Font | None:
    """Open a font; None if it cannot be scaled, as bitmap fonts of emoji cannot."""
    try:
        font = FT2Font(path)
        font.set_size(10, 72)
    except (OSError, RuntimeError):
        return None
    return font


@cache
def _candidates() -> tuple[tuple[str, str], ...]:
    """Pairs (family, path) of the installed fonts; sans serif first, then regular weight."""
    found = [
        (PLACEHOLDERS in font.name, "sans" not in font.name.lower(), str(font.weight) != "400", i)
        for i, font in enumerate(font_manager.fontManager.ttflist)
    ]
    fonts = [font_manager.fontManager.ttflist[i] for *_, i in sorted(found)]
    return tuple((font.name, font.fname) for font in fonts if PLACEHOLDERS not in font.name)


@cache
def family_with(character: str) -> str | None:
    """The family of an installed font that has a character, the default if it can be; or None."""
    if character.isspace():
        return DEFAULT
    default = font_manager.findfont(DEFAULT)
    for family, path in ((DEFAULT, default), *_candidates()):
        font = _open(path)
        if font and font.get_char_index(ord(character)):
            return family
    return None


def can_draw(text: str) -> bool:
    """Whether installed fonts have all the text's characters."""
    return text.isascii() or all(family_with(c) for c in set(printable(text)))


def use_fallback_fonts(figure: Figure) -> None:
    """Give each text of a figure the fonts that have its characters."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text().isascii():
            continue
        families = {family_with(c) for c in text.get_text()} - {None, DEFAULT}
        if families:
            text.set_fontfamily([DEFAULT, *sorted(map(str, families))])
