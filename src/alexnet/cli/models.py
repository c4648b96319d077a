"""Models that words of the command line mean: runs, files, addresses on a hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from alexnet.io.hub import PREFIX, is_head, short_name
from alexnet.io.run_paths import find_run

T = TypeVar("T")


def with_model(flags: T, field: str) -> T:
    """The flags with the path of a model where its run's name, or its address, was typed.

    Raises:
        UsageError: there is no such run or file, but one with a similar name.
        MissingDataError: it cannot be downloaded.
    """
    return _with(flags, field, lambda word: local_path(_place(word)))


def with_place(flags: T, field: str) -> T:
    """The flags with the path of a run whose name was typed; an address stays as it is.

    Results are named after it; what is loaded is its `local_path`.

    Raises:
        UsageError: there is no such run or file, but one with a similar name.
    """
    return _with(flags, field, _place)


def local_path(place: str) -> str:
    """A path; a model on a hub is downloaded, one without its trunk is put together.

    Raises:
        MissingDataError: it cannot be downloaded.
    """
    if not (place.startswith(PREFIX) or is_head(Path(place))):
        return place
    from alexnet.progress import ProgressReporter
    from alexnet.sharing.fetch import find_model

    with ProgressReporter() as reporter:
        return find_model(place, reporter.on_download)


def results_folder(place: str, kind: str) -> tuple[Path, str]:
    """The folder of a model's results unless --out is given, and what their titles call the model.

    It is in a run, beside a model file, and for an address in the current folder.

    Args:
        place: of the model, as `with_place` gives it.
        kind: of the results, such as "evaluation".
    """
    name, model = short_name(place), Path(place)
    if place.startswith(PREFIX):
        return Path(f"{name}-{kind}"), name
    folder = model if model.is_dir() else model.parent
    if model.is_dir() or (folder / "config.json").exists():
        return folder / kind, folder.resolve().name
    return folder / f"{model.stem}-{kind}", model.stem


def _with(flags: T, field: str, change: Callable[[str], str]) -> T:
    value = getattr(flags, field)
    found = change(value) if isinstance(value, str) else tuple(map(change, value))
    return replace(flags, **{field: found})  # type: ignore[type-var]


def _place(word: str) -> str:
    return word if word.startswith(PREFIX) else find_run(word)
