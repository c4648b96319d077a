"""The wnids of ImageNet's validation images that are in no class folder.

There are two orders of the 1,000 classes, and confusing them gives wrong labels without an error:

- **sorted by wnid** (n01440764 tench first): the numbers of Caffe's `val.txt`;
- **by ILSVRC2012_ID** (1 is n02119789, the kit fox): the devkit's `meta.mat`, and so the numbers
  of `ILSVRC2012_validation_ground_truth.txt`. This is not the sorted order.

So the ground truth needs `meta.mat`, `map_clsloc.txt`, or a list of the wnids in the order of their
ILSVRC2012_ID; a list in sorted order is rejected for that.

Source: the ILSVRC-2012 development kit, readme.txt; https://image-net.org/challenges/LSVRC/2012/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from alexnet.data.datasets.imagenet_classes import WNID, imagenet_words
from alexnet.data.datasets.imagenet_layout import SPLIT_ANNOTATIONS, Layout
from alexnet.data.datasets.mat import read_mat
from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.text import error_text, short_repr

SOLUTION = "LOC_val_solution.csv"
CAFFE_LIST = "val.txt"
SYNSET_LABELS = "imagenet_2012_validation_synset_labels.txt"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
MAP = "map_clsloc.txt"
WORDS = ("synset_words.txt", "LOC_synset_mapping.txt", "words.txt")
NUMBER = re.compile(r"[0-9]{1,7}")
NAME_WNID = re.compile(r"(?:.*_)?(n[0-9]{8})(?:_[0-9]+)?", re.DOTALL)
"""The stem of an image's name with its wnid: n01440764_10026, ILSVRC2012_val_00000293_n01440764."""


def flat_labels(
    layout: Layout, folder: str, names: list[str], num_classes: int = 0
) -> tuple[list[str], str]:
    """The wnid of every image in a folder without class folders, and where they are from.

    Args:
        layout: layout of the data set.
        folder: relative to the layout's root.
        names: names of the images, relative to `folder`.
        num_classes: class folders that the training images have, 0 without training images.

    Raises:
        DataError: there is no list of labels, it cannot be used, or an image is not in it.
    """
    stems = [PurePosixPath(name).stem for name in names]
    in_names = {stem: match[1] for stem in stems if (match := NAME_WNID.fullmatch(stem))}
    if len(in_names) == len(stems):
        return [in_names[stem] for stem in stems], "the names of the images"
    labels, path = _labels_in_list(layout, folder, num_classes)
    for name, stem in zip(names, stems, strict=True):
        if stem not in labels:
            image = f"{folder}/{name}" if folder else name
            raise DataError(f"{path} has no class for {image}; complete the list")
    return [labels[stem] for stem in stems], path.name


def read_words(path: Path) -> dict[str, str]:
    """Words by wnid, in the file's order; a line is "n01440764 tench, Tinca tinca".

    Raises:
        DataError: the file cannot be read, or a line does not begin with a wnid.
    """
    words = {}
    for number, line in _lines(path):
        wnid, _, text = line.replace("\t", " ").partition(" ")
        if not WNID.fullmatch(wnid):
            raise DataError(f"{path} line {number}: {short_repr(line)} does not begin with a wnid")
        words[wnid] = text.strip()
    return words


def _labels_in_list(layout: Layout, folder: str, num_classes: int) -> tuple[dict[str, str], Path]:
    """The wnids by the stem of the image's name, and the list that has them."""
    annotations = layout.root / folder / SPLIT_ANNOTATIONS
    listed = annotations if annotations.is_file() else layout.find_list(SOLUTION, CAFFE_LIST)
    if listed:
        return _named_labels(listed, num_classes), listed
    if path := layout.find_list(SYNSET_LABELS):
        return _numbered_labels(line for _, line in _lines(path)), path
    if path := layout.find_list(TRUTH):
        wnids = devkit_wnids(layout)
        return _numbered_labels(
            wnids.get(_number(path, line), "") for _, line in _lines(path)
        ), path
    raise DataError(
        f"{layout.root / folder} has no class folders: put a list of labels into {layout.root}, "
        f"Kaggle's {SOLUTION}, Caffe's {CAFFE_LIST}, or the devkit's {TRUTH} with meta.mat"
    )


def devkit_wnids(layout: Layout) -> dict[int, str]:
    """The wnid of every ILSVRC2012_ID (from 1): `meta.mat`, `map_clsloc.txt`, or a list by that ID.

    Raises:
        DataError: none is there, scipy is missing, or the list is in sorted order, which is
            another numbering.
    """
    if meta := layout.find_list("meta.mat"):
        return _meta_wnids(meta)
    if path := layout.find_list(MAP):
        words = read_words(path)
        return {_number(path, text.partition(" ")[0]): wnid for wnid, text in words.items()}
    need = f"{TRUTH} counts by ILSVRC2012_ID: put the devkit's meta.mat beside it"
    path = layout.find_list(*WORDS)
    if path is None:
        raise DataError(f"{need} in {layout.root}, or sort the images into class folders")
    wnids = list(read_words(path))
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


def _named_labels(path: Path, num_classes: int) -> dict[str, str]:
    """The wnids in a list of names and labels, which Kaggle separates by a comma.

    A label is a wnid, or a number in sorted order of wnids; what follows it is a bounding box.
    """
    labels = {}
    for number, line in _lines(path):
        name, label = [*re.split(r"[,\s]+", line, maxsplit=2), ""][:2]
        if label != "PredictionString":  # the title of the column
            labels[PurePosixPath(name).stem] = (f"line {number}", label)
    numbers = [int(label) for _, label in labels.values() if NUMBER.fullmatch(label)]
    if numbers and max(numbers) < num_classes < len(imagenet_words()):
        raise DataError(
            f"{path} numbers its labels, either among ImageNet's 1,000 classes or among the "
            f"{num_classes} of the training images; write wnids instead of numbers"
        )
    return {stem: _wnid(f"{path} {line}", label) for stem, (line, label) in labels.items()}


def _wnid(where: str, label: str) -> str:
    wnids = list(imagenet_words())
    if NUMBER.fullmatch(label) and int(label) < len(wnids):
        return wnids[int(label)]
    if WNID.fullmatch(label):
        return label
    raise DataError(f"{where}: {short_repr(label)} is neither a wnid nor a number from 0 to 999")


def _numbered_labels(wnids: Iterable[str]) -> dict[str, str]:
    """The wnids by the stems of the images' names, which count from 1; "" is left out."""
    named = ((f"ILSVRC2012_val_{number:08d}", wnid) for number, wnid in enumerate(wnids, start=1))
    return {stem: wnid for stem, wnid in named if wnid}


def _number(path: Path, text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise DataError(f"{path} is not a list of numbers: {short_repr(text)}")
    return int(text)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbers and texts of the lines that are not blank."""
    try:
        lines = read_regular(path, MAX_TEXT_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error_text(error)}") from error
    return ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())
