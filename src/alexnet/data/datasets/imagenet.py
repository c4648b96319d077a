"""ImageNet of the 2012 challenge, its subsets, and Tiny ImageNet.

Classes are in sorted order of their wnids, as in published weights, and have the names of
`imagenet_classes.py`. `imagenet_layout.py` lists the layouts.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from alexnet.data.datasets.imagenet_classes import WNID, class_name, imagenet_words
from alexnet.data.datasets.imagenet_labels import WORDS, flat_labels, read_words
from alexnet.data.datasets.imagenet_layout import CLASS_ARCHIVE, Layout, find_layout
from alexnet.data.datasets.rows import Row
from alexnet.data.images.find import classify_entry, list_images, scan_folder
from alexnet.data.source import ImageFiles, Source, class_indices
from alexnet.errors import DataError
from alexnet.io.paths import data_roots, find, missing_dataset_error

FOLDERS = (
    "imagenet", "ImageNet", "imagenet-1k", "imagenet1k", "imagenet2012", "ILSVRC2012", "ILSVRC",
    "imagenet-object-localization-challenge",
)  # fmt: skip
HOME = "https://image-net.org/download-images.php"
TINY_FOLDERS = ("tiny-imagenet-200", "tiny-imagenet", "tiny_imagenet")
TINY_HOME = "https://cs231n.stanford.edu/tiny-imagenet-200.zip"


def imagenet_source(data_root: str = "") -> Source:
    """List the images of `imagenet` below the data roots; a data root may be the folder itself.

    Raises:
        MissingDataError: there is no such folder below the data roots.
        DataError: as `imagenet_folder_source`.
    """
    roots = (root for root in data_roots(data_root) if find_layout(root))
    root = find(data_root, FOLDERS) or next(roots, None)
    if root is None:
        files = "train/ and val/, or val/ alone, as a folder imagenet/"
        raise missing_dataset_error("ImageNet", files, HOME, data_root)
    return dataclasses.replace(imagenet_folder_source(root), name="imagenet")


def tiny_imagenet_source(data_root: str = "") -> Source:
    """List the images of Tiny ImageNet: 200 classes, 64 x 64 pixels, 500 + 50 images a class.

    Raises:
        MissingDataError: there is no folder `tiny-imagenet-200` below the data roots.
        DataError: as `imagenet_folder_source`.
    """
    root = find(data_root, TINY_FOLDERS)
    if root is None:
        files = "tiny-imagenet-200.zip, unpack it"
        raise missing_dataset_error("Tiny ImageNet", files, TINY_HOME, data_root)
    return dataclasses.replace(imagenet_folder_source(root), name="tiny_imagenet")


def imagenet_folder_source(folder: Path) -> Source:
    """List the images of a folder in one of ImageNet's layouts; no image is read.

    Raises:
        DataError: the folder has another layout, or its flat validation images cannot be labelled;
            the message says which file is needed.
    """
    layout = find_layout(folder)
    if layout is None:
        raise DataError(
            f"{folder} has neither train/ nor val/ with class folders such as n01440764, nor "
            "images such as ILSVRC2012_val_00000001.JPEG"
        )
    listing = _Listing(layout)
    for split_folder, split in layout.splits:
        listing.add(split_folder, split)
    if not listing.rows:
        notes = "".join(f"; {note}" for note in listing.notes)
        raise DataError(f"{folder} has no images in class folders such as n01440764{notes}")
    return listing.source(folder.resolve().name)


def with_imagenet_names(source: Source) -> Source:
    """The source with readable class names if its classes are wnids; else unchanged."""
    if not all(map(WNID.fullmatch, source.class_names)):
        return source
    return dataclasses.replace(source, class_names=tuple(map(class_name, source.class_names)))


@dataclass
class _Listing:
    """The images of a layout, what was skipped, and notes on what was inferred."""

    layout: Layout
    rows: list[Row] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, folder: str, split: str) -> None:
        """Add the images in one split's folder."""
        path = self.layout.root / folder
        entries = scan_folder(path)
        folders = {entry.name for entry in entries if classify_entry(entry) == "folder"}
        wnids = sorted(filter(WNID.fullmatch, folders))
        archives = [entry.name for entry in entries if CLASS_ARCHIVE.fullmatch(entry.name)]
        if archives:
            self.notes.append(
                f"{len(archives):,} archives in {path}, such as {archives[0]}, are not read: "
                "unpack each into a folder of its name"
            )
        if wnids or archives:
            self.skipped["not a class folder"] += len(entries) - len(wnids)
            self._add_classes(folder, split, wnids)
        else:
            self._add_flat(folder, split, list_images(path, self.skipped))

    def _add_classes(self, folder: str, split: str, wnids: list[str]) -> None:
        """Add the images of class folders."""
        for wnid in wnids:
            names = list_images(self.layout.root / folder / wnid, self.skipped)
            self.rows += [Row(f"{folder}/{wnid}/{name}", wnid, split) for name in names]
            self.skipped["class folder without images"] += not names

    def _add_flat(self, folder: str, split: str, names: list[str]) -> None:
        """Add images that are in no class folders; test images have no labels and are skipped."""
        if split == "test":
            self.skipped["test image without a label"] += len(names)
            return
        title = folder or self.layout.root.name
        if not names:
            self.notes.append(f"{title} has no images")
            return
        labels, origin = flat_labels(self.layout, folder, names, len(self._wnids()))
        prefix = f"{folder}/" if folder else ""
        self.rows += [Row(prefix + n, wnid, split) for n, wnid in zip(names, labels, strict=True)]
        self.notes.append(f"the labels of {title} are from {origin}")

    def _wnids(self) -> tuple[str, ...]:
        return tuple(sorted({row.label for row in self.rows}))

    def source(self, name: str) -> Source:
        """The images as a source; training images alone are left to the recipe to split."""
        wnids, names = self._wnids(), tuple(row.name for row in self.rows)
        has_only_train = {row.split for row in self.rows} == {"train"}
        return Source(
            name=name,
            class_names=_class_names(self.layout, wnids),
            names=names,
            labels=class_indices((row.label for row in self.rows), wnids),
            splits=tuple("" if has_only_train else row.split for row in self.rows),
            images=ImageFiles(self.layout.root, names),
            skipped={reason: count for reason, count in sorted(self.skipped.items()) if count},
            notes=tuple(self.notes),
        )


def _class_names(layout: Layout, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes; those of synsets that are not in ImageNet come from a list."""
    has_others = not set(wnids) <= set(imagenet_words())
    path = layout.find_list(*WORDS) if has_others else None
    words = read_words(path) if path else {}
    return tuple(class_name(wnid, words.get(wnid, "")) for wnid in wnids)
