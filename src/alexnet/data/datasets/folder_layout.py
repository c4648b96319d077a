"""Which folders of a data set are classes and which are splits.

Names and nesting decide together: a split holds folders of classes, a class holds images. So
`train/cat/1.jpg` is an image of a split, and `train/1.jpg` beside `plane/1.jpg` one of the class
"train". Folders around the data set (`photos/photos/`, `data/train/`) do not matter. What can be
read in two ways is refused, since a wrong list of classes would not be noticed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from alexnet.data.datasets.folder_tree import FolderTree, join
from alexnet.data.datasets.split_names import SplitName, is_generic, parse_split_name, split_of
from alexnet.errors import DataError
from alexnet.io.text import short_repr

BY_PARENT = "--label-from '([^/]+)/[^/]+$'"
"""The class of an image is the folder that it is in."""


class ClassFolder(NamedTuple):
    """A folder whose images, at any depth, are of one class and split."""

    path: str
    """Path relative to the data set."""
    label: str
    split: str
    """"train", "val", "test", or "" where the recipe splits the images."""


def _by_folder(top: str) -> str:
    """The flag that makes every folder in `top` a class, whatever it holds."""
    prefix = f"{re.escape(top)}/" if top else ""
    return f"--label-from '^{prefix}([^/]+)/'"


def find_class_folders(folder: Path, skipped: Counter[str]) -> list[ClassFolder]:
    """The class folders of a data set; none where images are in no class folders.

    Args:
        folder: folder of the data set.
        skipped: counts the files that are in no class folder, by reason.

    Raises:
        DataError: the folders can be read in two ways; says which, and what to do.
    """
    tree = FolderTree(folder)
    top = _descend(tree, "", skipped)
    for read in (_splits_of_classes, _classes_of_splits, _classes):
        found = read(tree, top, skipped)
        if found is not None:
            break
    return found or []


def _descend(tree: FolderTree, path: str, skipped: Counter[str]) -> str:
    """Descend from `path` to the folder of classes or splits, through folders that hold only one.

    Counts the files directly in these folders as skipped.
    """
    tree.count_files(path, skipped)
    while inner := _only_inner_folder(tree, path):
        path = inner
        tree.count_files(path, skipped)
    return path


def _only_inner_folder(tree: FolderTree, path: str) -> str:
    """The only folder in `path` with images, if it holds classes or splits but is none; else ""."""
    names = tree.folders_with_images(path)
    if len(names) != 1:
        return ""
    inner = join(path, names[0])
    below = tree.folders_with_images(inner)
    splits_below = {split_of(name) for name in below} - {""}
    if path == "" and split_of(names[0]) and len(splits_below) < 2:
        return ""  # it is a split
    is_nested = tree.is_nested(inner)
    holds_classes = len(below) > 1 or splits_below or _only_inner_folder(tree, inner)
    return inner if is_nested and holds_classes else ""


def _splits_of_classes(
    tree: FolderTree, top: str, skipped: Counter[str]
) -> list[ClassFolder] | None:
    """Read the layout `train/cat`; None without splits, [] if these hold no class folders."""
    names = tree.folders_with_images(top)
    parsed = {name: split for name in names if (split := parse_split_name(name))}
    inside = {name: _descend(tree, join(top, name), Counter()) for name in parsed}
    classes = {name: _class_names(tree, path) for name, path in inside.items()}
    chosen = [name for name in parsed if _is_split(name, parsed, classes)]
    splits = {parsed[name].split for name in chosen}
    if not any(classes.values()):
        is_flat = len(splits) > 1 or (chosen and len(chosen) == len(names))
        return [] if is_flat else None
    others = [name for name in names if name not in chosen]
    _refuse_doubtful(tree, top, parsed, classes, chosen, others)
    nested = [name for name in chosen if classes[name]]
    if not nested:
        return None
    _refuse_two_of_one_split(tree, top, nested, parsed)
    for name in chosen:
        _descend(tree, join(top, name), skipped)
    skipped["outside the splits"] += sum(tree.count_images(join(top, name)) for name in others)
    return _with_splits(
        ClassFolder(join(inside[name], label), label, parsed[name].split)
        for name in nested
        for label in classes[name]
    )


def _with_splits(found: Iterable[ClassFolder]) -> list[ClassFolder]:
    """The class folders as a list; their splits become "" if all of them are in `train`."""
    folders = list(found)
    has_only_train = {folder.split for folder in folders} == {"train"}
    return [folder._replace(split="") for folder in folders] if has_only_train else folders


def _class_names(tree: FolderTree, path: str) -> tuple[str, ...]:
    """The class folders in a split's folder; none if its images are in no class folders."""
    filled = tree.folders_with_images(path)
    if not filled or (len(filled) == 1 and _is_no_class(filled[0], path)):
        return ()
    if len(splits := {split_of(name) for name in filled} - {""}) > 1:
        raise DataError(
            f"{tree.shown(path)} is a split's folder and holds folders of splits "
            f"({', '.join(sorted(splits))}); give one of the two as --data"
        )
    _refuse_data_sets_inside(tree, path, filled)
    return tree[path].folders


def _is_no_class(name: str, path: str) -> bool:
    """Whether the only folder in a split's folder is no class, as in "test/images"."""
    return is_generic(name) or bool(split_of(name)) or name == path.rpartition("/")[2]


def _is_split(name: str, parsed: dict[str, SplitName], classes: dict[str, tuple[str, ...]]) -> bool:
    """Whether a folder with a split in its name is a split.

    "train" always is. "seg_train" is if it is beside "seg_test" or holds classes of "train".
    """
    own = parsed[name]
    if not own.rest:
        return True
    same_rest = {split.split for split in parsed.values() if split.rest == own.rest}
    labels = {label for other in classes if not parsed[other].rest for label in classes[other]}
    return len(same_rest) > 1 or bool(labels & set(classes[name]))


def _refuse_doubtful(
    tree: FolderTree,
    top: str,
    parsed: dict[str, SplitName],
    classes: dict[str, tuple[str, ...]],
    chosen: list[str],
    others: list[str],
) -> None:
    """Refuse a folder that is named as a split but may be a class like the folders beside it.

    Raises:
        DataError: says how either reading is asked for.
    """
    doubtful = [
        name for name in others if classes.get(name) and _looks_odd(tree, top, name, parsed)
    ]
    plain = [name for name in others if name not in parsed]
    if len({parsed[name].split for name in chosen}) == 1 and plain:
        doubtful = [name for name in chosen if classes[name]][:1]
    if doubtful:
        name = doubtful[0]
        beside = [other for other in tree.folders_with_images(top) if other != name]
        raise DataError(
            f"{tree.shown(top)}: is {short_repr(name)} a split or a class? It holds the folders "
            f"{_listed(classes[name])}, and beside it are {_listed(beside)}. Give --data "
            f"{tree.shown(join(top, name))} for the first, or {_by_folder(top)} for the second"
        )


def _looks_odd(tree: FolderTree, top: str, name: str, parsed: dict[str, SplitName]) -> bool:
    """Whether a folder such as "seg_train" is probably no class.

    That is so if a word of its name is in the name of a folder beside it ("seg_pred"), or if all
    folders beside it hold folders in place of images.
    """
    words = set(parsed[name].rest.split())
    others = [other for other in tree.folders_with_images(top) if other != name]
    has_relative = any(words & set(re.split(r"[\W\d_]+", other.lower())) for other in others)
    return has_relative or all(tree.is_nested(join(top, other)) for other in others)


def _refuse_two_of_one_split(
    tree: FolderTree, top: str, names: list[str], parsed: dict[str, SplitName]
) -> None:
    """Refuse "val" beside "validation"; "train1" and "train2" are parts of one split.

    Raises:
        DataError: names both.
    """
    spellings: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        letters = re.sub(r"[\W\d_]+", "", name.lower())
        spellings[parsed[name].split].setdefault(letters, name)
    for split, found in spellings.items():
        if len(found) > 1:
            first, second, *_ = found.values()
            raise DataError(
                f"{tree.shown(top)}: {short_repr(first)} and {short_repr(second)} would both be "
                f"the {split} split; rename or remove one of them"
            )


def _classes_of_splits(
    tree: FolderTree, top: str, skipped: Counter[str]
) -> list[ClassFolder] | None:
    """Read the layout `cat/train`; None if no class holds folders of splits."""
    names = tree.folders_with_images(top)
    splits = {
        name: below
        for name in names
        if (below := tree.folders_with_images(join(top, name)))
        and all(split_of(split) for split in below)
        and all(tree[join(top, name, split)].num_images for split in below)
    }
    if not splits:
        return None
    if rest := [name for name in names if name not in splits]:
        name = next(iter(splits))
        raise DataError(
            f"{tree.shown(top)}: {short_repr(name)} holds folders of splits "
            f"({_listed(splits[name])}), {short_repr(rest[0])} does not; sort its images into "
            f"splits, too, or ignore the splits by {_by_folder(top)}"
        )
    for name in names:
        tree.count_files(join(top, name), skipped)
    return _with_splits(
        ClassFolder(join(top, name, split), name, split_of(split))
        for name, below in splits.items()
        for split in below
    )


def _classes(tree: FolderTree, top: str, skipped: Counter[str]) -> list[ClassFolder]:
    """Read the layout `cat`, one folder per class; [] if there is none, or only say "images"."""
    filled = tree.folders_with_images(top)
    if not filled or (len(filled) == 1 and is_generic(filled[0])):
        return []
    _refuse_data_sets_inside(tree, top, filled)
    _refuse_same_folders_inside(tree, top)
    return [ClassFolder(join(top, name), name, "") for name in tree[top].folders]


def _refuse_data_sets_inside(tree: FolderTree, path: str, names: list[str]) -> None:
    """Refuse a class folder that is a data set itself.

    It holds folders of splits, or the classes that are beside it, or is named "data" or the like.

    Raises:
        DataError: names the folder, which is a data set itself, perhaps a second copy.
    """
    for inner in (join(path, name) for name in names if len(names) > 1):
        below = tree.folders_with_images(inner) if tree.is_nested(inner) else []
        splits = [n for n in below if split_of(n) and tree.folders_with_images(join(inner, n))]
        is_data = below and is_generic(inner.rpartition("/")[2])
        if splits or is_data or set(below) & set(names):
            raise DataError(
                f"{tree.shown(inner)} holds the folders {_listed(splits or below)} of a data set, "
                f"and is itself beside other folders of images; give it alone, --data "
                f"{tree.shown(inner)}, or move it away"
            )


def _refuse_same_folders_inside(tree: FolderTree, top: str) -> None:
    """Refuse "classes" that hold the same folders, as the parts of a data set do.

    Raises:
        DataError: names them, and says how either reading is asked for.
    """
    names = tree[top].folders
    inside = {n: set(tree[join(top, n)].folders) for n in names if tree.is_nested(join(top, n))}
    counts = Counter(name for below in inside.values() for name in below if not is_generic(name))
    shared = sorted(name for name, count in counts.items() if count > 1)
    parts = [name for name, below in inside.items() if below & set(shared)]
    if shared and len(parts) * 2 >= len(names):
        raise DataError(
            f"{tree.shown(top)}: {_listed(parts)} hold the same folders ({_listed(shared)}), as "
            "splits do. Name them train, val and test, or give one of them as --data; "
            f"{BY_PARENT} makes {shared[0]} a class, {_by_folder(top)} makes {parts[0]} a class"
        )


def _listed(names: Iterable[str]) -> str:
    """The first three names: "cat, dog, bee, ..."."""
    first = list(names)
    return ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")
