"""Any folder of class folders as a data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.datasets.split_names import split_of
from alexnet.data.images.find import classify_entry, list_images, scan_folder
from alexnet.data.images.formats import SUFFIXES
from alexnet.data.source import Source
from alexnet.errors import DataError

LAYOUTS = "use CLASS/image.jpg for every class, or train/CLASS/image.jpg (val/, test/ alike)"


def folder_source(folder: Path) -> Source:
    """List the images of a folder, sorted by their path; a class is a folder.

    Where there are `train`, `val` (or `valid`, `validation`) and `test` folders, each holds class
    folders; with `train` alone the split is left to the recipe, as with class folders alone.
    Hidden files, other kinds of files, dangling links, pipes and folders that a link leads to a
    second time are skipped and counted in `skipped`.

    Raises:
        DataError: there is no such folder, it has no class folders, or a class folder has no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {str(folder)!r} {problem}; {LAYOUTS}")
    skipped: Counter[str] = Counter()
    rows = [
        Row(f"{class_folder}/{name}", label, split)
        for class_folder, label, split in _class_folders(folder, skipped)
        for name in _class_images(folder / class_folder, skipped)
    ]
    if not rows:
        raise DataError(f"the folder {str(folder)!r} has no class folders; {LAYOUTS}")
    return make_source(folder.resolve().name or str(folder), folder, rows, skipped)


def _class_images(folder: Path, skipped: Counter[str]) -> list[str]:
    """The images of one class folder; it is an error if there are none."""
    names = list_images(folder, skipped)
    if not names:
        suffixes = " ".join(SUFFIXES)
        raise DataError(f"{str(folder)!r} has no images ({suffixes}); fill or remove that folder")
    return names


def _class_folders(folder: Path, skipped: Counter[str]) -> list[tuple[str, str, str]]:
    """Every class folder as (relative path, class, split)."""
    names = _folders_in(folder, skipped)
    splits = _split_folders(folder, names)
    if not splits:
        return [(name, name, "") for name in names]
    skipped["outside the splits"] += len(names) - len(splits)
    has_only_train = set(splits.values()) == {"train"}
    return [
        (f"{split_folder}/{label}", label, "" if has_only_train else split)
        for split_folder, split in splits.items()
        for label in _folders_in(folder / split_folder, skipped)
    ]


def _split_folders(folder: Path, names: list[str]) -> dict[str, str]:
    """The sub-folders that are splits: {"train": "train", "valid": "val"}.

    Beside other folders, a folder `train` without folders in it is a class (planes, cars, train).
    """
    splits = {name: split_of(name) for name in names if split_of(name)}
    has_classes = any(
        classify_entry(entry) == "folder" for name in splits for entry in scan_folder(folder / name)
    )
    return splits if has_classes or len(splits) == len(names) else {}


def _folders_in(folder: Path, skipped: Counter[str]) -> list[str]:
    """The visible folders directly in a folder; counts the files beside them."""
    names = []
    for entry in scan_folder(folder):
        kind = classify_entry(entry)
        if kind == "folder":
            names.append(entry.name)
        else:
            skipped["not in a class folder" if kind == "image" else kind] += 1
    return names
