"""The page's section on the data: classes, sizes, skipped files, duplicates, imbalance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.images.find import describe_skipped
from alexnet.data.source import SPLITS
from alexnet.io.text import count_text
from alexnet.reports.stored_images import Duplicates, RunData, find_duplicates
from alexnet.reports.stored_run import StoredRun

MAX_LISTED = 12
"""Maximum number of rejected images, and of groups of duplicates, in the lists."""
IMBALANCE = 4
"""A class is small if it has less than 1 / IMBALANCE of the images of the median class."""


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """The number of images of a class in each split, in the order of `DataFacts.splits`."""

    name: str
    counts: list[int]
    total: int


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The section about the data."""

    name: str
    num_classes: int
    splits: dict[str, int]
    """Images of each split."""
    class_names: tuple[str, ...]
    classes: list[ClassCounts]
    """The sizes of the classes; empty if the data is not on this machine."""
    findings: list[str]
    """Sentences on balance, skipped files and duplicates."""
    rejected: list[tuple[str, str]]
    """Names of the first MAX_LISTED rejected images, and the reasons."""
    num_rejected: int
    duplicates: list[list[str]]
    """Names of equal images, in the first MAX_LISTED groups."""
    missing: str
    """What is not known, and why; "" if all is."""


def describe_data(run: StoredRun, data: RunData) -> DataFacts | None:
    """Describe the data of a run; None if neither its result nor the data is there."""
    counts = _class_counts(data)
    known = run.result.data if run.result else None
    store = data.store
    names = store.info.class_names if store else known.class_names if known else ()
    if not names:
        return None
    rejected = run.result.rejected if run.result else store.info.rejected if store else ()
    duplicates = find_duplicates(data)
    splits = data.splits.counts if data.splits else known.num_images if known else {}
    missing = "" if counts else f"the sizes of the classes: {data.problem}"
    if duplicates is None and counts:
        missing = f"duplicates: {data.problem}"
    return DataFacts(
        name=run.recipe.data if run.recipe else "",
        num_classes=len(names),
        splits=splits,
        class_names=names,
        classes=counts,
        findings=_findings(counts, duplicates, data),
        rejected=[(image.name, image.reason) for image in rejected[:MAX_LISTED]],
        num_rejected=len(rejected),
        duplicates=_duplicate_names(duplicates, data),
        missing=missing,
    )


def _class_counts(data: RunData) -> list[ClassCounts]:
    if data.store is None or data.splits is None:
        return []
    names, labels = data.store.info.class_names, data.store.labels
    columns = [
        np.bincount(labels[indices], minlength=len(names))
        for split in SPLITS
        if len(indices := data.splits.by_name[split])
    ]
    rows = np.stack(columns, 1).tolist()
    return [
        ClassCounts(name=name, counts=row, total=sum(row))
        for name, row in zip(names, rows, strict=True)
    ]


def _findings(
    counts: Sequence[ClassCounts], duplicates: Duplicates | None, data: RunData
) -> list[str]:
    """Sentences on balance, skipped files and duplicates, as far as these are known."""
    lines = []
    if counts:
        totals = sorted(one.total for one in counts)
        median = totals[len(totals) // 2]
        small = sum(total * IMBALANCE < median for total in totals)
        lines.append(_balance_text(totals[0], median, totals[-1], small))
    skipped = data.store.info.skipped if data.store else ()
    if text := describe_skipped({one.reason: one.files for one in skipped}):
        lines.append(f"Files skipped: {text}.")
    if duplicates is not None:
        lines.append(_duplicate_text(duplicates))
    return lines


def _balance_text(smallest: int, median: int, largest: int, num_small: int) -> str:
    if smallest == largest:
        return f"Every class has {count_text(largest, 'image')}."
    few = "no class has" if not num_small else "1 class has" if num_small == 1 else ""
    few = few or f"{num_small:,} classes have"
    return (
        f"The classes have {smallest:,} to {largest:,} images, the median {median:,}; "
        f"{few} less than a quarter of the median."
    )


def _duplicate_text(found: Duplicates) -> str:
    if not found.groups:
        return "No two images are equal to the last bit."
    extra = sum(len(group) - 1 for group in found.groups)
    return (
        f"{count_text(extra, 'image')} {'is' if extra == 1 else 'are'} equal to an earlier one to "
        f"the last bit; {count_text(found.across_classes, 'group')} across classes, "
        f"{found.across_splits:,} across splits."
    )


def _duplicate_names(found: Duplicates | None, data: RunData) -> list[list[str]]:
    if found is None or data.store is None:
        return []
    names = data.store.info.names
    return [[names[index] for index in group] for group in found.groups[:MAX_LISTED]]
