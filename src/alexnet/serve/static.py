"""The files of the page. They need no token: the page asks for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from alexnet.pages.page import HERE as SHARED
from alexnet.serve.problems import ProblemError

FOLDER = Path(__file__).parent / "page"
MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
BASE_EXPORTS = "\nexport { el, memory };\n"
"""The export that makes a JavaScript module of the script that all pages of this program share."""
router = APIRouter(include_in_schema=False)


@cache
def page_files() -> dict[str, str]:
    """The page's files by name; base.css and base.js of all pages are included."""
    paths = [path for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES]
    own = {path.name: path.read_text(encoding="utf-8") for path in paths}
    style = (SHARED / "base.css").read_text(encoding="utf-8")
    script = (SHARED / "base.js").read_text(encoding="utf-8")
    return {**own, "page.css": style + own["page.css"], "base.js": script + BASE_EXPORTS}


@router.get("/")
async def index() -> Response:
    """The web page itself."""
    return await file("index.html")


@router.get("/page/{name}")
async def file(name: str) -> Response:
    """A file of the page by its name; only known names are served, and no path is opened."""
    text = page_files().get(name)
    if text is None:
        raise ProblemError(404, f"the page has no file {name!r}")
    return Response(text, media_type=MEDIA_TYPES[Path(name).suffix])
