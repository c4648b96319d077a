"""Where the images and the lists of labels are in a folder of ImageNet.

| from | images | labels of the validation images |
|---|---|---|
| torchvision, PyTorch's example | `train/WNID/`, `val/WNID/` | the folders |
| the devkit | `ILSVRC2012_img_{train,val}/` | `ILSVRC2012_validation_ground_truth.txt` |
| Kaggle | `ILSVRC/Data/CLS-LOC/{train,val,test}` | `LOC_val_solution.csv` |
| Kaggle's ImageNet-100 | `train.X1/WNID/` .. `val.X/WNID/` | the folders |
| Caffe, OpenMMLab | `train/WNID/`, `val/` | `val.txt`, `meta/val.txt` |
| Hugging Face | `val/ILSVRC2012_val_00000001_WNID.JPEG` | the names |
| Tiny ImageNet | `train/WNID/images/`, `val/images/` | `val/val_annotations.txt` |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.datasets.imagenet_classes import WNID
from alexnet.data.datasets.split_names import parse_split_name
from alexnet.data.images.find import classify_entry, scan_folder

FLAT_NAME = re.compile(
    r"(ILSVRC2012_val_[0-9]{8}|n[0-9]{8}_[0-9]+)(_n[0-9]{8})?\.(jpe?g|png|webp|bmp)", re.IGNORECASE
)
"""An image with its published name; resized copies may be of another kind."""
CLASS_ARCHIVE = re.compile(rf"{WNID.pattern}\.tar")
IMAGE_FOLDERS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")
LIST_FOLDERS = ("", "meta", "ILSVRC2012_devkit_t12/data", "devkit/data", "caffe_ilsvrc12")
SPLIT_ANNOTATIONS = "val_annotations.txt"
OTHER_WORDS = ("", "ilsvrc", "x")
"""The other words in names of split folders: train, ILSVRC2012_img_train, train.X1."""
MAX_OUTER_FOLDERS = 3
"""Largest number of folders around the data set, as unpacking an archive makes them."""


@dataclass(frozen=True)
class Layout:
    """The folders of a data set in one of ImageNet's layouts."""

    root: Path
    """Image names are relative to it."""
    splits: tuple[tuple[str, str], ...]
    """Folder below the root and its split, training first; a folder of validation images alone has
    ("", "val")."""
    list_folders: tuple[Path, ...]
    """Where lists of labels and words may be."""

    @property
    def is_one_flat_folder(self) -> bool:
        """Whether it is a single folder of validation images, in no class folders."""
        return self.splits == (("", "val"),)

    def find_list(self, *names: str) -> Path | None:
        """The first file with one of these names in the folders of lists; None without one."""
        paths = (folder / name for name in names for folder in self.list_folders)
        return next((path for path in paths if path.is_file()), None)


def find_layout(folder: Path) -> Layout | None:
    """The layout of a folder; None if it is not an ImageNet.

    A folder is one if its splits have class folders that are all wnids, images with their
    published names, or Tiny ImageNet's list. Folders around it do not matter.

    Raises:
        DataError: a folder cannot be read.
    """
    for _ in range(MAX_OUTER_FOLDERS):
        if layout := _layout_of(folder):
            return layout
        inner = _only_folder(folder)
        if inner is None:
            return None
        folder = inner
    return _layout_of(folder)


def _layout_of(folder: Path) -> Layout | None:
    for images in (folder / name for name in IMAGE_FOLDERS):
        if images.is_dir() and (splits := _split_folders(images)):
            return Layout(images, splits, _list_folders(images))
    if folder.is_dir() and _is_flat_split(folder):
        return Layout(folder, (("", "val"),), _list_folders(folder))
    return None


def _only_folder(folder: Path) -> Path | None:
    """The one folder in a folder without images, unless it is a class."""
    if not folder.is_dir():
        return None
    kinds = [(classify_entry(entry), entry.name) for entry in scan_folder(folder)]
    folders = [name for kind, name in kinds if kind == "folder"]
    is_outer = len(folders) == 1 and not any(kind == "image" for kind, _ in kinds)
    return folder / folders[0] if is_outer and not WNID.fullmatch(folders[0]) else None


def _split_folders(folder: Path) -> tuple[tuple[str, str], ...]:
    """The split folders in a folder, each with its split; none unless one of them is ImageNet's."""
    found = []
    for entry in scan_folder(folder):
        parsed = parse_split_name(entry.name)
        if parsed and parsed.rest in OTHER_WORDS and classify_entry(entry) == "folder":
            found.append((entry.name, parsed.split))
    if not any(_is_imagenet_split(folder / name) for name, _ in found):
        return ()
    return tuple(sorted(found, key=lambda pair: ("train", "val", "test").index(pair[1])))


def _is_imagenet_split(folder: Path) -> bool:
    folders = [entry.name for entry in scan_folder(folder) if classify_entry(entry) == "folder"]
    if folders and all(map(WNID.fullmatch, folders)):
        return True
    return _is_flat_split(folder)


def _is_flat_split(folder: Path) -> bool:
    """Whether a folder holds the images of a split without class folders."""
    return (folder / SPLIT_ANNOTATIONS).is_file() or _has_published_names(folder)


def _has_published_names(folder: Path) -> bool:
    """Whether a folder has images or class archives with published names, and no folders."""
    entries = scan_folder(folder)
    is_flat = not any(classify_entry(entry) == "folder" for entry in entries)
    published = (FLAT_NAME, CLASS_ARCHIVE)
    return is_flat and any(name.fullmatch(entry.name) for entry in entries for name in published)


def _list_folders(images: Path) -> tuple[Path, ...]:
    """Where lists may be: with the images, beside a folder of them, above ILSVRC/Data/CLS-LOC."""
    path = images.resolve()
    nearby = (path,) if _split_folders(path) else (path, path.parent)
    above = nearby[-1].parents[:3] if nearby[-1].name == "CLS-LOC" else ()
    return tuple(folder / name for folder in (*nearby, *above) for name in LIST_FOLDERS)
