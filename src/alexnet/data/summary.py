"""The classes and splits of a data set in a few lines, for people and for JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.source import SPLITS, Source

MAX_LISTED = 10
"""Class names in a line of text."""


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What a data set holds."""

    class_names: tuple[str, ...]
    num_images: dict[str, int]
    """Number of images by split, without empty splits; "all" where there are no splits."""
    classes_without_images: dict[str, tuple[str, ...]]
    """The missing classes by split, for splits that have images but not of every class."""
    names_differing_in_case: tuple[tuple[str, ...], ...]
    """Groups of class names such as ("RED", "red")."""


def summarize(
    class_names: tuple[str, ...], labels: np.ndarray, indices: Mapping[str, np.ndarray]
) -> DataSummary:
    """The summary of a data set.

    Args:
        class_names: a label is an index into them.
        labels: int64 [N].
        indices: indices of the images of every split.
    """
    used = {split: part for split, part in indices.items() if len(part)}
    missing = {split: missing_classes(class_names, labels[part]) for split, part in used.items()}
    return DataSummary(
        class_names=class_names,
        num_images={split: len(part) for split, part in used.items()},
        classes_without_images={split: names for split, names in missing.items() if names},
        names_differing_in_case=names_differing_in_case(class_names),
    )


def summarize_source(source: Source) -> DataSummary:
    """The summary of a data set that is not decoded yet."""
    splits = np.array(source.splits)
    indices = {split: np.flatnonzero(splits == split) for split in SPLITS}
    if not any(source.splits):
        indices = {"all": np.arange(len(source))}
    return summarize(source.class_names, source.labels, indices)


def missing_classes(class_names: tuple[str, ...], labels: np.ndarray) -> tuple[str, ...]:
    """The classes that no label names."""
    counts = np.bincount(labels, minlength=len(class_names))
    return tuple(name for name, count in zip(class_names, counts, strict=True) if not count)


def names_differing_in_case(class_names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of names that differ in upper and lower case alone."""
    groups = defaultdict(list)
    for name in class_names:
        groups[name.casefold()].append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def summary_notes(summary: DataSummary) -> list[str]:
    """The summary as sentences: classes, images of each split, and what is odd about them."""
    counts = ", ".join(
        f"{count:,}, not split" if split == "all" else f"{count:,} {split}"
        for split, count in summary.num_images.items()
    )
    lines = [classes_text(summary.class_names), f"images: {counts}"]
    for split, names in summary.classes_without_images.items():
        lines.append(missing_text(names, f"{split} images"))
    for group in summary.names_differing_in_case:
        spellings = " and ".join(map(repr, group))
        lines.append(f"the classes {spellings} differ in case alone; if they are one, rename one")
    return lines


def classes_text(names: Sequence[str]) -> str:
    """The number of classes and the first names: "3 classes: blue, green, red"."""
    return f"{len(names):,} class{'es' if len(names) != 1 else ''}: {first_names(names)}"


def missing_text(names: Sequence[str], what: str) -> str:
    """A sentence on classes that lack something: "blue has no test images"."""
    if len(names) == 1:
        return f"{names[0]} has no {what}"
    return f"{len(names):,} classes have no {what}: {first_names(names)}"


def first_names(names: Sequence[str]) -> str:
    """The first `MAX_LISTED` names, and how many more there are."""
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
