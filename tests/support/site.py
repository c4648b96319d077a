"""The site: its pages of Markdown, and what `make docs` has built."""

from __future__ import annotations

import sys
from pathlib import Path

from support.places import ROOT

DOCS = ROOT / "docs"
BUILT = DOCS / "_build" / "html"


def site_pages() -> list[Path]:
    """The pages that people write, in a fixed order; `make docs` makes others."""
    made = {DOCS / "_build", DOCS / "reference" / "generated"}
    return sorted(page for page in DOCS.rglob("*.md") if made.isdisjoint(page.parents))


def import_page_writers() -> None:
    """Let `site_pages`, which makes pages from the program, be imported."""
    if str(DOCS) not in sys.path:
        sys.path.insert(0, str(DOCS))
