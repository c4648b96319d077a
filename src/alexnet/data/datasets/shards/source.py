"""Tar shards as a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from alexnet.data.data_files import DataFile
from alexnet.data.datasets.shards.images import ShardImages
from alexnet.data.datasets.shards.index import read_indices
from alexnet.data.datasets.shards.names import missing_shards_note
from alexnet.data.datasets.shards.samples import Sample
from alexnet.data.datasets.split_names import splits_of_files
from alexnet.data.source import Source, class_indices
from alexnet.errors import DataError
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.reporter import ProgressCallback, ignore_progress

CLASS_LISTS = ("classnames.txt", "class_names.txt", "classes.txt", "labels.txt")
"""Files beside the shards that name the classes of labels that are numbers, a line each."""


def shard_source(
    name: str,
    files: Sequence[DataFile],
    class_list: DataFile | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Source:
    """The images of tar shards, in the order of the shards and of the images in them.

    An image has its label in `KEY.cls`, the number or name of its class, or in `KEY.json`, under
    one of the usual names. The splits are in the names of the shards or of their folders (see
    `splits_of_files`); with a training split alone, the split is left to the recipe.

    Args:
        name: name of the data set.
        files: the shards; at least one.
        class_list: file that names the classes of labels that are numbers.
        on_progress: called with (shards read, shards in all) while they are read the first time.

    Raises:
        DataError: a shard cannot be read (see `read_samples`), no image has a label, or the names
            of some shards mean a split and others do not.
    """
    shard_splits = splits_of_files([file.name for file in files], files)
    if set(shard_splits) == {"train"}:
        shard_splits = [""] * len(files)
    skipped: Counter[str] = Counter()
    samples: list[tuple[int, Sample]] = []
    for shard, found in enumerate(read_indices(files, on_progress)):
        for sample in found:
            if sample.kind and sample.label:
                samples.append((shard, sample))
            else:
                lacking = "a label" if sample.kind else "an image"
                skipped[f"samples without {lacking}"] += 1
    if not samples:
        raise DataError(_nothing_found(files[0], skipped))
    labels = _named_classes([sample.label for _, sample in samples], class_list)
    class_names = tuple(sorted(set(labels)))
    note = missing_shards_note([file.name for file in files])
    return Source(
        name=name,
        class_names=class_names,
        names=tuple(f"{files[shard].name}/{one.key}.{one.kind}" for shard, one in samples),
        labels=class_indices(labels, class_names),
        splits=tuple(shard_splits[shard] for shard, _ in samples),
        images=ShardImages(
            files,
            np.array([shard for shard, _ in samples], np.int64),
            np.array([(sample.start, sample.size) for _, sample in samples], np.int64),
        ),
        skipped=dict(skipped),
        notes=(note,) if note else (),
    )


def _nothing_found(file: DataFile, skipped: Counter[str]) -> str:
    """Why shards have no labelled image, and what to do."""
    if skipped["samples without a label"]:
        return (
            f"no image in {file} has a label beside it, KEY.cls or KEY.json; "
            "if it is the archive of a folder, unpack it and give the folder"
        )
    return f"there are no images in {file}"


def _named_classes(labels: list[str], class_list: DataFile | None) -> list[str]:
    """The labels; numbers as the names of their classes, if these are known.

    Raises:
        DataError: the list cannot be read, or has fewer names than there are classes.
    """
    if class_list is None or not all(label.isdecimal() for label in labels):
        return labels
    try:
        text = class_list.read(0, MAX_TEXT_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{class_list} cannot be read: {error}") from error
    names = [line.strip() for line in text.strip().splitlines()]
    largest = max(map(int, set(labels)))
    if largest >= len(names) or len(set(names)) < len(names) or not all(names):
        raise DataError(
            f"{class_list} has {len(set(names) - {''}):,} different names of classes, and the "
            f"largest label is {largest:,}; complete it, or rename it to use the numbers"
        )
    return [names[int(label)] for label in labels]
