"""Any folder of class folders as a data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from alexnet.data.datasets.archive import is_archive_name
from alexnet.data.datasets.file_names import rows_from_names, suggest_pattern
from alexnet.data.datasets.folder_layout import ClassFolder, find_class_folders
from alexnet.data.datasets.folder_tree import FolderTree, join
from alexnet.data.datasets.image_lists.source import is_list_name
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.images.find import describe_skipped, list_images
from alexnet.data.source import Source
from alexnet.errors import DataError

NO_LISTS = (".txt", ".json", "submission.csv")
"""Endings of lists that are mostly something else: a README, settings, Kaggle's samples."""
LAYOUTS = "use CLASS/image.jpg for every class, or train/CLASS/image.jpg (val/, test/ alike)"


def folder_source(folder: Path, label_from: str = "", *, allow_empty: bool = False) -> Source:
    """List the images of a folder, sorted by their path; a class is a folder.

    Where there are folders of splits (`train`, `Training`, `seg_train`, `val`, `dev`, `test1`, ..),
    each holds class folders; with a training split alone the split is left to the recipe, as with
    class folders alone. `folder_layout.py` has the rules.
    Hidden files, other kinds of files, dangling links, pipes and folders that a link leads to a
    second time are skipped and counted in `skipped`.

    Args:
        folder: folder of the data set.
        label_from: regular expression that finds the class in the name of each image, as
            `DataOptions.label_from`; "" where classes are folders.
        allow_empty: leave out classes without images, and name them in `Source.empty_classes`.

    Raises:
        ConfigError: `label_from` cannot be used.
        DataError: there is no such folder, it has no class folders, a class has no image,
            the folders can be read in two ways, or `label_from` matches nothing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {str(folder)!r} {problem}; {LAYOUTS}")
    skipped: Counter[str] = Counter()
    empty: dict[str, str] = {}
    if label_from:
        rows = rows_from_names(str(folder), list_images(folder, skipped), label_from, skipped)
    else:
        rows, empty = _rows_from_folders(folder, skipped)
    if empty and not allow_empty:
        raise DataError(next(iter(empty.values())))
    source = make_source(folder.resolve().name or str(folder), folder, rows, skipped)
    return replace(source, empty_classes=empty)


def _rows_from_folders(folder: Path, skipped: Counter[str]) -> tuple[list[Row], dict[str, str]]:
    """The images of all class folders, and a sentence on each class without images in any split.

    Raises:
        DataError: there are no class folders.
    """
    found = [
        (part, list_images(folder / part.path, skipped)) for part in _class_folders(folder, skipped)
    ]
    labels = {part.label for part, names in found if names}
    empty: dict[str, str] = {}
    for part, _ in found:
        if part.label not in labels:
            empty.setdefault(part.label, _empty_text(folder / part.path))
    rows = [
        Row(f"{part.path}/{name}", part.label, part.split)
        for part, names in found
        for name in names
    ]
    return rows, empty


def _class_folders(folder: Path, skipped: Counter[str]) -> list[ClassFolder]:
    if found := find_class_folders(folder, skipped):
        return found
    names = list_images(folder, Counter())
    if not names and (path := _empty_class(folder)):
        raise DataError(_empty_text(path))
    problem = "has no class folders" if names else _no_images(folder)
    hints = _list_hint(folder) + (_names_hint(names) if names else _archives_hint(folder))
    raise DataError(f"the folder {str(folder)!r} {problem}; {LAYOUTS}{hints}")


def _empty_class(folder: Path) -> Path | None:
    """The first of the class folders, if all of a folder's are empty; None if there are none."""
    tree, path, others = FolderTree(folder), "", Counter[str]()
    list_images(folder, others)
    for _ in range(3):  # at most photos/train/CLASS: links may lead back
        path = join(path, *tree[path].folders[:1])
    return folder / path if path and set(others) <= {"hidden"} else None


def _empty_text(folder: Path) -> str:
    return f"{str(folder)!r} {_no_images(folder)}; fill or remove that folder"


def _no_images(folder: Path) -> str:
    """A clause which says that a folder has no images, and which other files it has."""
    others: Counter[str] = Counter()
    list_images(folder, others)
    only = describe_skipped(others)
    return f"has no images that are read, only {only}" if only else "has no images"


def _list_hint(folder: Path) -> str:
    """A hint at the file in a folder or its subfolders that may list its images; else ""."""
    paths = (path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)))
    lists = (p for p in paths if is_list_name(p) and not p.name.lower().endswith(NO_LISTS))
    path = next((path for path in lists if path.is_file()), None)
    return f". If '{path}' lists the images, give that file" if path else ""


def _names_hint(names: list[str]) -> str:
    """A hint at --label-from, with a pattern that fits these names if one is found."""
    pattern = suggest_pattern(names) or "REGEX"
    return f". If the names of the images hold the classes, add --label-from '{pattern}'"


def _archives_hint(folder: Path) -> str:
    """A hint at archives in a folder that may hold the images; "" if there are none."""
    archives = sorted(p.name for p in folder.rglob("*") if is_archive_name(p))[:3]
    return f". It holds archives ({', '.join(archives)}): unpack them" if archives else ""
