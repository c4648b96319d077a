"""Pages of HTML that are one file: no network, light and dark, for a phone and for print.

- `page`: `render_page` fills a Jinja template that extends `base.html`; its CSS and its script are
  inlined, and a content security policy allows that script alone
- `thumbnails`: images as JPEGs inside the page, within a number of bytes
- `base.html`, `base.css`, `base.js`: what all pages share: colors, tables that sort, the theme

Every text is escaped by Jinja. A script makes elements with `textContent`, never from HTML.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.pages.page import render_page
    from alexnet.pages.thumbnails import ByteBudget, jpeg_url

__all__ = ["ByteBudget", "jpeg_url", "render_page"]
__getattr__, __dir__ = attach(
    __name__,
    {"ByteBudget": "thumbnails", "jpeg_url": "thumbnails", "render_page": "page"},
)
