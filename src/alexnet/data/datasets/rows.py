"""From one row per image to a `Source`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from alexnet.config.serialization import short_repr
from alexnet.data.source import ImageFiles, Source, class_indices
from alexnet.errors import DataError


class Row(NamedTuple):
    """One image: its path relative to the data set, its class, and its split or ""."""

    name: str
    label: str
    split: str


def make_source(name: str, root: Path, rows: list[Row], skipped: Counter[str]) -> Source:
    """Make a source; every class must be in the training split."""
    rows = sorted(rows)
    class_names = tuple(sorted({row.label for row in rows}))
    in_train = {row.label for row in rows if row.split in ("", "train")}
    if missing := [label for label in class_names if label not in in_train]:
        raise DataError(
            f"{name}: class {short_repr(missing[0])} has no images in train; "
            "add some there, or remove the class from the other splits"
        )
    names = tuple(row.name for row in rows)
    return Source(
        name=name,
        class_names=class_names,
        names=names,
        labels=class_indices((row.label for row in rows), class_names),
        splits=tuple(row.split for row in rows),
        images=ImageFiles(root, names),
        skipped={reason: count for reason, count in sorted(skipped.items()) if count},
    )
