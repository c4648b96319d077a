"""Any folder of class folders as a data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from alexnet.data.datasets.archive import is_archive_name
from alexnet.data.datasets.file_names import rows_from_names, suggest_pattern
from alexnet.data.datasets.folder_layout import find_class_folders
from alexnet.data.datasets.image_lists.source import is_list_name
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.images.find import list_images, scan_folder
from alexnet.data.images.formats import SUFFIXES
from alexnet.data.source import Source
from alexnet.errors import DataError

NO_LISTS = (".txt", ".json", "submission.csv")
"""Endings of lists that are mostly something else: a README, settings, Kaggle's samples."""
LAYOUTS = "use CLASS/image.jpg for every class, or train/CLASS/image.jpg (val/, test/ alike)"


def folder_source(folder: Path, label_from: str = "") -> Source:
    """List the images of a folder, sorted by their path; a class is a folder.

    Where there are folders of splits (`train`, `Training`, `seg_train`, `val`, `dev`, `test1`, ..),
    each holds class folders; with a training split alone the split is left to the recipe, as with
    class folders alone. `folder_layout.py` has the rules.
    Hidden files, other kinds of files, dangling links, pipes and folders that a link leads to a
    second time are skipped and counted in `skipped`.

    Args:
        folder: of the data set.
        label_from: regular expression that finds the class in the name of each image, as
            `DataOptions.label_from`; "" where classes are folders.

    Raises:
        ConfigError: `label_from` cannot be used.
        DataError: there is no such folder, it has no class folders, a class folder has no image,
            the folders can be read in two ways, or `label_from` matches nothing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {str(folder)!r} {problem}; {LAYOUTS}")
    skipped: Counter[str] = Counter()
    if label_from:
        rows = rows_from_names(str(folder), list_images(folder, skipped), label_from, skipped)
    else:
        rows = _rows_from_folders(folder, skipped)
    return make_source(folder.resolve().name or str(folder), folder, rows, skipped)


def _rows_from_folders(folder: Path, skipped: Counter[str]) -> list[Row]:
    rows = [
        Row(f"{path}/{name}", label, split)
        for path, label, split in find_class_folders(folder, skipped)
        for name in _class_images(folder / path, skipped)
    ]
    if not rows:
        raise DataError(
            f"the folder {str(folder)!r} has no class folders; "
            f"{LAYOUTS}{_list_hint(folder)}{_names_hint(folder)}"
        )
    return rows


def _list_hint(folder: Path) -> str:
    """The file in a folder that may list its images."""
    names = (entry.name for entry in scan_folder(folder) if is_list_name(Path(entry.name)))
    name = next((name for name in names if not name.lower().endswith(NO_LISTS)), "")
    return f". If {name!r} lists the images, give that file" if name else ""


def _names_hint(folder: Path) -> str:
    """How labels in file names are used, with a pattern that fits these names if there is one.

    Without images, the archives that may hold them.
    """
    names = list_images(folder, Counter())
    if not names:
        archives = sorted(p.name for p in folder.rglob("*") if is_archive_name(p))[:3]
        return f". It holds archives ({', '.join(archives)}): unpack them" if archives else ""
    pattern = suggest_pattern(names) or "REGEX"
    return f". If the names of the images hold the classes, add --label-from '{pattern}'"


def _class_images(folder: Path, skipped: Counter[str]) -> list[str]:
    """The images of one class folder; it is an error if there are none."""
    names = list_images(folder, skipped)
    if not names:
        suffixes = " ".join(SUFFIXES)
        raise DataError(f"{str(folder)!r} has no images ({suffixes}); fill or remove that folder")
    return names
