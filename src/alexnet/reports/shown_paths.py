"""Shorten the paths on a page, which others may read on another machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from markupsafe import escape

from alexnet.reports.stored_run import StoredRun


def short_path(path: Path) -> str:
    """The path relative to the current folder, else as `~/..` in the home folder, else its name.

    A relative path is returned unchanged.
    """
    here, home = Path.cwd(), Path.home()
    if not path.is_absolute():
        return str(path)
    if path.is_relative_to(here):
        return str(path.relative_to(here))
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else path.name


def without_folders(page: str, runs: Iterable[StoredRun]) -> str:
    """Shorten the absolute paths of a page's runs, their data, the home and the current folder.

    Paths below these are shortened as well.
    """
    places = {Path.home(): "~", Path.cwd(): "."}
    for run in runs:
        recipe = run.recipe
        texts = (*((recipe.data, recipe.init_from) if recipe else ()), str(run.path))
        places |= {path: short_path(path) for path in map(Path, texts) if path.is_absolute()}
    shown = {str(escape(path)): name for path, name in places.items() if len(path.parts) > 1}
    pattern = "|".join(map(re.escape, sorted(shown, key=len, reverse=True)))

    def shorten(found: re.Match[str]) -> str:
        name, rest = str(escape(shown[found[1]])), found[2]
        return "" if name == "." and rest else name + rest

    return re.sub(rf"(?<![\w.~+/=-])({pattern})([/\\]|(?![\w-]|\.\w))", shorten, page)
