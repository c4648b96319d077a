"""Which files are meant: patterns of names as WebDataset writes them, and archives of shards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from alexnet.data.data_files import LocalFile
from alexnet.data.datasets.shards.samples import read_samples
from alexnet.errors import DataError

RANGE = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
"""A range of numbers in a name; zeros fill each to the length of the first."""
NUMBER = re.compile(r"(.*?)([0-9]+)(\.tar)")
MAX_SHARDS = 100_000
LOOKED_AT = 16
"""Number of files in an archive that are looked at to tell whether it is a shard."""


def expand_range(text: str) -> list[str]:
    """The names that `train-{000000..000127}.tar` means; a text without a range is the only name.

    Raises:
        DataError: the range is empty, or far too long.
    """
    found = RANGE.search(text)
    if not found:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < MAX_SHARDS:
        raise DataError(f"{found[0]} in {text!r} is no range of at most {MAX_SHARDS:,} numbers")
    numbers = (str(number).zfill(len(found[1])) for number in range(first, last + 1))
    return [f"{text[: found.start()]}{number}{text[found.end() :]}" for number in numbers]


def missing_shards_note(names: Sequence[str]) -> str:
    """A sentence on gaps in the numbers of shards, which begin with 0 or 1; "" without any."""
    numbers: dict[str, dict[int, str]] = {}
    for name in names:
        if found := NUMBER.fullmatch(name):
            numbers.setdefault(found[1], {})[int(found[2])] = found[2]
    for prefix, present in numbers.items():
        start, last = int(0 not in present and 1 in present), max(present)
        num_missing = last + 1 - start - len(present)
        if len(present) > 1 and 0 < num_missing < len(present):  # else it is no gap, but a date
            first = next(number for number in range(start, last) if number not in present)
            more = f" and {num_missing - 1:,} more" if num_missing > 1 else ""
            width = len(present[last])
            return f"{prefix}{first:0{width}}.tar{more} is missing among the shards"
    return ""


def is_shard(path: Path) -> bool:
    """Whether an archive is a shard of samples, and not the archive of a folder of images.

    The latter may have JSON beside its images, too.
    """
    if path.suffix.lower() != ".tar":
        return False
    try:
        samples = read_samples(LocalFile(path, path.name), LOOKED_AT)
    except DataError:
        return False
    return any(
        sample.kind and sample.label and (sample.label_kind != "json" or "/" not in sample.key)
        for sample in samples
    )
