"""Classes that are in the names of image files, such as cat.0.jpg, and the splits above them."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from alexnet.config.label_pattern import compile_label_pattern, find_label
from alexnet.data.datasets.rows import Row
from alexnet.data.datasets.split_names import parse_split_name
from alexnet.errors import ConfigError, DataError
from alexnet.io.isolated import read_in_subprocess

COMMON_PATTERNS = (r"^(.+?)[\W_]*\d", r"^(\d+)[ ._-]", r"^([^ ._-]+)[ ._-]")
"""Patterns for names such as cat.0.jpg and Abyssinian_12.jpg; 0001_c3s1.jpg; rose-left.jpg."""
MAY_TAKE_LONG = re.compile(r"\)[*+?{]|([*+{].*){3}|(\?.*){6}", re.S)
"""A repeated group, three repetitions, or many choices: of other expressions, the time for a name
grows at most with the cube of its length."""
SEARCH_SECONDS = 30.0
"""Time limit for searching all names; a million take a few seconds."""
READER = f"{__name__}:read_labels"


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
    labels = dict(zip(names, find_labels(label_from, names), strict=True))
    unmatched = [name for name, label in labels.items() if not label]
    if len(unmatched) == len(names):
        first = f", such as {names[0]}" if names else ""
        raise DataError(f"--label-from {label_from!r} matches none of {where}'s images{first}")
    if unmatched:
        skipped[f"no match for --label-from, such as {unmatched[0]}"] += len(unmatched)
    matched = [name for name, label in labels.items() if label]
    splits = splits_from_folders(matched)
    return [Row(name, labels[name], split) for name, split in zip(matched, splits, strict=True)]


def find_labels(label_from: str, names: Sequence[str]) -> list[str]:
    """The class in every name, "" where there is none.

    Expressions that could take for ever are searched in a process of their own, which is stopped
    when the time is up: Python cannot stop a search.

    Raises:
        ConfigError: the pattern cannot be used, or takes too long.
    """
    pattern = compile_label_pattern(label_from)
    if not MAY_TAKE_LONG.search(label_from):
        return [find_label(pattern, name) for name in names]
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "names.json"
            path.write_text(json.dumps([label_from, *names]), encoding="utf-8")
            found = read_in_subprocess(READER, path, timeout_seconds=SEARCH_SECONDS)
    except ValueError as error:
        raise ConfigError(
            f"--label-from {label_from!r} cannot be searched in {len(names):,} names ({error}); "
            "leave out repeated groups, as in '^([a-z]+)_'"
        ) from error
    labels: list[str] = json.loads(found["labels"].tobytes())
    return labels


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Find the classes for `find_labels` in another process.

    Args:
        path: a JSON array of the pattern and the names.

    Returns:
        "labels": the classes as a JSON array, in bytes (uint8).
    """
    label_from, *names = json.loads(path.read_text(encoding="utf-8"))
    pattern = compile_label_pattern(label_from)
    labels = json.dumps([find_label(pattern, name) for name in names])
    return {"labels": np.frombuffer(labels.encode(), np.uint8)}


def splits_from_folders(names: Sequence[str]) -> list[str]:
    """The split of every path by the names of its folders.

    All are "" if some are in no split's folder, or if all are in `train`.
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
