"""Models that words of the command line mean: runs, files, addresses on a hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from alexnet.io.hub import PREFIX, is_head
from alexnet.io.run_paths import find_run

T = TypeVar("T")


def with_model(flags: T, field: str) -> T:
    """The flags with the path of a model where its run's name, or its address, was typed.

    Raises:
        UsageError: there is no such run or file, but one with a similar name.
        MissingDataError: it cannot be downloaded.
    """
    value = getattr(flags, field)
    found = _find(value) if isinstance(value, str) else tuple(map(_find, value))
    return replace(flags, **{field: found})  # type: ignore[type-var]


def _find(word: str) -> str:
    """A path; a model on a hub is downloaded, one without its trunk is put together."""
    found = word if word.startswith(PREFIX) else find_run(word)
    if not (found.startswith(PREFIX) or is_head(Path(found))):
        return found
    from alexnet.progress import ProgressReporter
    from alexnet.sharing.fetch import find_model

    with ProgressReporter() as reporter:
        return find_model(found, reporter.on_download)
