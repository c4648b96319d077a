"""ImageNet of the 2012 challenge: 1.28 million training and 50,000 validation pictures.

There are two orders of its 1,000 classes, and mixing them up gives wrong labels without a word:

- **sorted by wnid** (n01440764 tench first): the labels here, and those of Caffe, torchvision,
  Keras, `synset_words.txt` and `LOC_synset_mapping.txt` as they are published;
- **by ILSVRC2012_ID** (1 is n02119789, the kit fox): the devkit's `meta.mat`, and so the numbers
  of `ILSVRC2012_validation_ground_truth.txt`. This is not the sorted order.

So the flat `val` folder needs `meta.mat`, or a list of the wnids in the order of their
ILSVRC2012_ID; a list in sorted order is refused for that, and used for the names alone.

Source: the ILSVRC-2012 development kit, readme.txt; https://image-net.org/challenges/LSVRC/2012/
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from alexnet.data.datasets.folder import Row, classify_entry, entries, pictures_below
from alexnet.data.datasets.mat import read_mat
from alexnet.data.images.open import open_picture
from alexnet.data.source import Source, file_signature, labels_from
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


@dataclass(frozen=True)
class TreePictures:
    """Pictures below one folder, by relative path (a Path for each would take 0.4 GB)."""

    root: Path
    names: tuple[str, ...]

    def open(self, index: int) -> AbstractContextManager[Image.Image]:
        """Read the file."""
        return open_picture(self.root / self.names[index])

    def stamp(self, index: int) -> bytes:
        """What `file_signature` says."""
        return file_signature(self.root / self.names[index])


def imagenet_source(data_root: str = "") -> Source:
    """List the pictures of `imagenet` (or `ILSVRC2012`): `train/n01440764/*`, `val` alike or flat.

    Classes are in sorted order of their wnids, as published weights have them. A class is called by
    its wnid, or by its first word when `synset_words.txt` or `LOC_synset_mapping.txt` is there; of
    two classes with one word (crane, maillot) each has its wnid added. Reads directories only.

    Raises:
        MissingDataError: there is no such folder below the data roots.
        DataError: train or val has no pictures or a class of one is not in the other, or the flat
            val cannot be labelled; the message says which file is needed.
    """
    root = find(data_root, FOLDERS)
    if root is None:
        raise missing_dataset_error(
            "ImageNet", "train/ and val/ as a folder imagenet/", HOME, data_root
        )
    ignored: Counter[str] = Counter()
    rows = [*_labelled(root, "train", ignored), *_val(root, ignored)]
    wnids = tuple(sorted({row.label for row in rows}))
    learnt = {row.label for row in rows if row.split == "train"}
    if unseen := [wnid for wnid in wnids if wnid not in learnt]:
        raise DataError(f"{root}: class {unseen[0]} is in val but not in train; complete train/")
    names = tuple(row.name for row in rows)
    return Source(
        name="imagenet",
        class_names=_class_names(root, wnids),
        names=names,
        labels=labels_from((row.label for row in rows), wnids),
        splits=tuple(row.split for row in rows),
        images=TreePictures(root, names),
        skipped=dict(sorted(ignored.items())),
    )


def devkit_wnids(root: Path) -> dict[int, str]:
    """Give the wnid of every ILSVRC2012_ID (from 1), from `meta.mat` or a list in that order.

    Raises:
        DataError: neither is there, scipy is missing, or the list is in sorted order, which is
            the order of another numbering.
    """
    meta = _beside(root, ("meta.mat",))
    if meta:
        return _meta_wnids(meta)
    path = _beside(root, WORDS)
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
    except Exception as error:  # what is in it may be anything
        raise DataError(f"{meta} is not the devkit's meta.mat: {error}") from error


def _labelled(root: Path, split: str, ignored: Counter[str]) -> list[Row]:
    """List the pictures of a split's class folders."""
    folder = root / split
    rows = []
    for entry in entries(folder):
        if classify_entry(entry) == "folder" and WNID.fullmatch(entry.name):
            prefix = f"{split}/{entry.name}/"
            names = pictures_below(folder / entry.name, ignored)
            rows += [Row(prefix + name, entry.name, split) for name in names]
        elif not FLAT.fullmatch(entry.name):
            ignored["not a class folder"] += 1
    if not rows and split == "train":
        raise DataError(f"{folder} has no pictures in class folders such as n01440764")
    return rows


def _val(root: Path, ignored: Counter[str]) -> list[Row]:
    """List the validation pictures, from class folders or from a flat folder and the devkit."""
    if rows := _labelled(root, "val", ignored):
        return rows
    numbers = {
        entry.name: int(match[1])
        for entry in entries(root / "val")
        if (match := FLAT.fullmatch(entry.name))
    }
    if not numbers:
        raise DataError(f"{root / 'val'} has neither class folders nor ILSVRC2012_val_*.JPEG")
    truth, wnids = _truth(root), devkit_wnids(root)
    rows = []
    for name, number in numbers.items():
        wnid = wnids.get(truth[number - 1], "") if 1 <= number <= len(truth) else ""
        if not wnid:
            raise DataError(f"{TRUTH} or meta.mat in {root} has no class for val/{name}")
        rows.append(Row(f"val/{name}", wnid, "val"))
    return rows


def _truth(root: Path) -> list[int]:
    """Read the ILSVRC2012_ID of every validation picture, in the order of their numbers."""
    path = _beside(root, (TRUTH,))
    if path is None:
        raise DataError(f"val/ in {root} is flat: put the devkit's {TRUTH} there, from {HOME}")
    try:
        return [int(line) for line in read_regular(path, MAX_TEXT_BYTES).decode("ascii").split()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a list of numbers: {error}") from error


def _class_names(root: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """Find what people call the classes."""
    path = _beside(root, WORDS)
    words = _words(path) if path else {}
    names = [words.get(wnid, wnid) for wnid in wnids]
    count = Counter(names)
    return tuple(
        name if count[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(names, wnids, strict=True)
    )


def _words(path: Path) -> dict[str, str]:
    """Read first words by wnid, in the file's order; a line is "n01440764 tench, Tinca tinca"."""
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


def _beside(root: Path, names: tuple[str, ...]) -> Path | None:
    """Find a file in the data set's folder or its devkit."""
    places = (root / folder / name for folder in DEVKIT for name in names)
    return next((path for path in places if path.is_file()), None)
