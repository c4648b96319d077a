"""Find the models that command-line arguments name: runs, files, addresses on a hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from alexnet.io.hub import PREFIX, is_head, short_name
from alexnet.io.run_paths import find_run

T = TypeVar("T")


def with_model(flags: T, field: str) -> T:
    """Replace a run's name or a hub's address by the path of the model, in one field of the flags.

    Raises:
        UsageError: there is no such run or file, but there is one with a similar name.
        MissingDataError: the model cannot be downloaded.
    """
    return _with(flags, field, lambda word: local_path(_place(word)))


def with_place(flags: T, field: str) -> T:
    """Replace the name of a run by its path in one field of the flags; an address is kept.

    Results are named after this value; the model is loaded from its `local_path`.

    Raises:
        UsageError: there is no such run or file, but there is one with a similar name.
    """
    return _with(flags, field, _place)


def local_path(place: str) -> str:
    """The path of a complete model: a hub's model is downloaded, a head joined with its backbone.

    Raises:
        MissingDataError: a file cannot be downloaded.
    """
    if not (place.startswith(PREFIX) or is_head(Path(place))):
        return place
    from alexnet.progress import ProgressReporter
    from alexnet.sharing.fetch import find_model

    with ProgressReporter() as reporter:
        return find_model(place, reporter.on_download)


def results_folder(place: str, kind: str) -> tuple[Path, str]:
    """The default folder of a model's results, and the model's name in their titles.

    The folder is in the run, beside the model file, or in the current folder for an address.

    Args:
        place: the path or address of the model, as `with_place` returns it.
        kind: the kind of the results, such as "evaluation".
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
