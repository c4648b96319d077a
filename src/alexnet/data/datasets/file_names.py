"""Classes that are in the names of image files, such as cat.0.jpg, and the splits above them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain

from alexnet.config.label_pattern import compile_label_pattern, find_label
from alexnet.data.datasets.rows import Row
from alexnet.data.datasets.split_names import parse_split_name
from alexnet.errors import DataError

COMMON_PATTERNS = (r"^(.+?)[\W_]*\d", r"^(\d+)[ ._-]", r"^([^ ._-]+)[ ._-]")
"""cat.0.jpg and Abyssinian_12.jpg; 0001_c3s1.jpg; rose-left.jpg."""


def rows_from_names(
    where: str, names: Sequence[str], label_from: str, skipped: Counter[str]
) -> list[Row]:
    """One row for each image whose name has a class; the others are counted in `skipped`.

    Args:
        where: what the images are in, for messages.
        names: paths relative to the data set.
        label_from: as `DataOptions.label_from`.
        skipped: counts files by reason.

    Raises:
        ConfigError: the pattern cannot be used.
        DataError: it matches no name.
    """
    pattern = compile_label_pattern(label_from)
    labels = {name: find_label(pattern, name) for name in names}
    unmatched = [name for name, label in labels.items() if not label]
    if len(unmatched) == len(names):
        first = f", such as {names[0]}" if names else ""
        raise DataError(f"--label-from {label_from!r} matches none of {where}'s images{first}")
    if unmatched:
        skipped[f"no match for --label-from, such as {unmatched[0]}"] += len(unmatched)
    matched = [name for name, label in labels.items() if label]
    splits = splits_from_folders(matched)
    return [Row(name, labels[name], split) for name, split in zip(matched, splits, strict=True)]


def splits_from_folders(names: Sequence[str]) -> list[str]:
    """The split of every path by the names of its folders.

    "" for all of them where some are in no split's folder, or all are in `train`.
    """
    splits_by_rest = defaultdict(set)
    parsed = [
        [found for folder in name.split("/")[:-1] if (found := parse_split_name(folder))]
        for name in names
    ]
    for split, rest in chain.from_iterable(parsed):
        splits_by_rest[rest].add(split)
    splits = [
        next((s for s, rest in folders if not rest or len(splits_by_rest[rest]) > 1), "")
        for folders in parsed
    ]
    is_split = "" not in splits and set(splits) != {"train"}
    return splits if is_split else [""] * len(names)


def suggest_pattern(names: Sequence[str]) -> str:
    """A pattern that finds a few classes in most of the names, for a message; else ""."""
    for text in COMMON_PATTERNS:
        pattern = re.compile(text)
        labels = Counter(label for name in names if (label := find_label(pattern, name)))
        if labels.total() * 2 >= len(names) and 2 <= len(labels) <= labels.total() / 2:
            return text
    return ""
