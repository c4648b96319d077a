"""ImageNet of the 2012 challenge: 1.28 million training and 50,000 validation images.

There are two orders of its 1,000 classes, and confusing them gives wrong labels without an error:

- **sorted by wnid** (n01440764 tench first): the labels here, and those of Caffe, torchvision,
  Keras, `synset_words.txt` and `LOC_synset_mapping.txt` as they are published;
- **by ILSVRC2012_ID** (1 is n02119789, the kit fox): the devkit's `meta.mat`, and so the numbers
  of `ILSVRC2012_validation_ground_truth.txt`. This is not the sorted order.

So the flat `val` folder needs `meta.mat`, or a list of the wnids in the order of their
ILSVRC2012_ID; a list in sorted order is rejected for that, and used for the names only.

Source: the ILSVRC-2012 development kit, readme.txt; https://image-net.org/challenges/LSVRC/2012/
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from alexnet.data.datasets.mat import read_mat
from alexnet.data.datasets.rows import Row
from alexnet.data.images.find import classify_entry, list_images, scan_folder
from alexnet.data.source import ImageFiles, Source, class_indices
from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.paths import find, missing_dataset_error

FOLDERS = ("imagenet", "ILSVRC2012")
HOME = "https://image-net.org/download-images.php"
WNID = re.compile(r"n[0-9]{8}")
FLAT = re.compile(r"ILSVRC2012_val_([0-9]{8})\.jpe?g", re.IGNORECASE)
DEVKIT = ("", "ILSVRC2012_devkit_t12/data", "devkit/data")
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
WORDS = ("synset_words.txt", "LOC_synset_mapping.txt")


def imagenet_source(data_root: str = "") -> Source:
    """List the images of `imagenet` (or `ILSVRC2012`): `train/n01440764/*`, `val` alike or flat.

    Classes are in sorted order of their wnids, as in published weights. The name of a class is its
    wnid, or its first word when `synset_words.txt` or `LOC_synset_mapping.txt` is there; where two
    classes share a word (crane, maillot) each has its wnid added. No image is read.

    Raises:
        MissingDataError: there is no such folder below the data roots.
        DataError: train or val has no images or a class of one is not in the other, or the flat
            val cannot be labelled; the message says which file is needed.
    """
    root = find(data_root, FOLDERS)
    if root is None:
        raise missing_dataset_error(
            "ImageNet", "train/ and val/ as a folder imagenet/", HOME, data_root
        )
    skipped: Counter[str] = Counter()
    rows = [*_images_in_class_folders(root, "train", skipped), *_val_images(root, skipped)]
    wnids = tuple(sorted({row.label for row in rows}))
    in_train = {row.label for row in rows if row.split == "train"}
    if missing := [wnid for wnid in wnids if wnid not in in_train]:
        raise DataError(f"{root}: class {missing[0]} is in val but not in train; complete train/")
    names = tuple(row.name for row in rows)
    return Source(
        name="imagenet",
        class_names=_class_names(root, wnids),
        names=names,
        labels=class_indices((row.label for row in rows), wnids),
        splits=tuple(row.split for row in rows),
        images=ImageFiles(root, names),
        skipped=dict(sorted(skipped.items())),
    )


def devkit_wnids(root: Path) -> dict[int, str]:
    """The wnid of every ILSVRC2012_ID (from 1), from `meta.mat` or a list in that order.

    Raises:
        DataError: neither is there, scipy is missing, or the list is in sorted order, which is
            another numbering.
    """
    meta = _find_file(root, ("meta.mat",))
    if meta:
        return _meta_wnids(meta)
    path = _find_file(root, WORDS)
    need = f"{TRUTH} counts by ILSVRC2012_ID: put the devkit's meta.mat beside it"
    if path is None:
        raise DataError(f"{need} in {root}, or sort val/ into class folders")
    wnids = list(_words(path))
    if wnids == sorted(wnids):
        raise DataError(f"{path} is in sorted order, but {need}")
    return dict(enumerate(wnids, start=1))


def _meta_wnids(meta: Path) -> dict[int, str]:
    """Read ILSVRC2012_ID to wnid from the devkit's table of synsets."""
    arrays = read_mat(meta)
    try:
        ids, wnids = arrays["synsets.ILSVRC2012_ID"], arrays["synsets.WNID"]
        return {int(number): str(wnid) for number, wnid in zip(ids, wnids, strict=True)}
    except Exception as error:  # the file may contain anything
        raise DataError(f"{meta} is not the devkit's meta.mat: {error}") from error


def _images_in_class_folders(root: Path, split: str, skipped: Counter[str]) -> list[Row]:
    """The images in the class folders of a split."""
    folder = root / split
    rows = []
    for entry in scan_folder(folder):
        if classify_entry(entry) == "folder" and WNID.fullmatch(entry.name):
            prefix = f"{split}/{entry.name}/"
            names = list_images(folder / entry.name, skipped)
            rows += [Row(prefix + name, entry.name, split) for name in names]
        elif not FLAT.fullmatch(entry.name):
            skipped["not a class folder"] += 1
    if not rows and split == "train":
        raise DataError(f"{folder} has no images in class folders such as n01440764")
    return rows


def _val_images(root: Path, skipped: Counter[str]) -> list[Row]:
    """The validation images, from class folders or from a flat folder and the devkit."""
    if rows := _images_in_class_folders(root, "val", skipped):
        return rows
    numbers = {
        entry.name: int(match[1])
        for entry in scan_folder(root / "val")
        if (match := FLAT.fullmatch(entry.name))
    }
    if not numbers:
        raise DataError(f"{root / 'val'} has neither class folders nor ILSVRC2012_val_*.JPEG")
    truth, wnids = _ground_truth(root), devkit_wnids(root)
    rows = []
    for name, number in numbers.items():
        wnid = wnids.get(truth[number - 1], "") if 1 <= number <= len(truth) else ""
        if not wnid:
            raise DataError(f"{TRUTH} or meta.mat in {root} has no class for val/{name}")
        rows.append(Row(f"val/{name}", wnid, "val"))
    return rows


def _ground_truth(root: Path) -> list[int]:
    """The ILSVRC2012_ID of every validation image, in the order of their numbers."""
    path = _find_file(root, (TRUTH,))
    if path is None:
        raise DataError(f"val/ in {root} is flat: put the devkit's {TRUTH} there, from {HOME}")
    try:
        return [int(line) for line in read_regular(path, MAX_TEXT_BYTES).decode("ascii").split()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a list of numbers: {error}") from error


def _class_names(root: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes."""
    path = _find_file(root, WORDS)
    words = _words(path) if path else {}
    names = [words.get(wnid, wnid) for wnid in wnids]
    count = Counter(names)
    return tuple(
        name if count[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(names, wnids, strict=True)
    )


def _words(path: Path) -> dict[str, str]:
    """First words by wnid, in the file's order; a line is "n01440764 tench, Tinca tinca"."""
    try:
        lines = read_regular(path, MAX_TEXT_BYTES).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    words = {}
    for number, line in enumerate(lines, start=1):
        wnid, _, names = line.strip().partition(" ")
        if not WNID.fullmatch(wnid):
            raise DataError(f"{path} line {number}: {line!r} does not begin with a wnid")
        words[wnid] = names.split(",")[0].strip() or wnid
    return words


def _find_file(root: Path, names: tuple[str, ...]) -> Path | None:
    """A file in the data set's folder or its devkit."""
    paths = (root / folder / name for folder in DEVKIT for name in names)
    return next((path for path in paths if path.is_file()), None)
