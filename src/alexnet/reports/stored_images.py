"""Open the image store of a run, if it is on this machine and has not changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alexnet.data.duplicates import duplicate_groups
from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.errors import AlexNetError
from alexnet.io.text import error_text
from alexnet.models.variants import variant
from alexnet.reporter import NullReporter
from alexnet.reports.stored_run import StoredRun
from alexnet.training.data import plan_data

NOT_DECODED = "its images are not in the cache"


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The image store and the splits of a run; None with the reason if there are none."""

    store: Store | None = None
    splits: Splits | None = None
    has_pixels: bool = False
    """Whether the images are decoded already; a report decodes none."""
    problem: str = ""
    """Why there is no store, why it has no pixels, or what may have changed; "" if all is well."""


def open_run_data(run: StoredRun) -> RunData:
    """Open the data of a run, without downloading or decoding anything."""
    if run.recipe is None:
        return RunData(problem="the run has no recipe that names its data")
    try:
        store, splits, has_pixels = plan_data(run.recipe, NullReporter())
    except (AlexNetError, OSError, ValueError) as error:
        return RunData(problem=error_text(error))
    split = run.recipe.data_options.split
    if run.manifest_hash and store.manifest_hash(split) != run.manifest_hash:
        # Of images that are not decoded it is unknown which are rejected.
        changed = "the data has changed since the training"
        return RunData(problem=changed if has_pixels else f"{NOT_DECODED}, or {changed}")
    problem = "" if has_pixels else f"{NOT_DECODED}; alexnet evaluate decodes them"
    return RunData(store=store, splits=splits, has_pixels=has_pixels, problem=problem)


def with_classes_of(run: StoredRun, data: RunData) -> StoredRun:
    """The run; without a model, its network gets as many classes as its data has."""
    if run.manifest_hash or data.store is None or run.architecture is None:
        return run
    num_classes = len(data.store.info.class_names)
    return replace(run, architecture=variant(run.architecture, num_classes=num_classes))


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Groups of stored images with identical pixels."""

    groups: list[list[int]]
    """The groups, each as ascending indices into the store."""
    across_classes: int
    """Number of groups with images of several classes."""
    across_splits: int
    """Number of other groups with images of several splits."""


def find_duplicates(data: RunData) -> Duplicates | None:
    """Find the duplicates in the splits of a run's store; None without pixels."""
    store, splits = data.store, data.splits
    if store is None or splits is None or not data.has_pixels:
        return None
    split_of = np.zeros(len(store), np.int8)
    for number, indices in enumerate(splits.by_name.values(), 1):
        split_of[indices] = number
    groups = duplicate_groups(store, np.flatnonzero(split_of))
    mixed = [len(set(store.labels[group].tolist())) > 1 for group in groups]
    parted = [len(set(split_of[group].tolist())) > 1 for group in groups]
    return Duplicates(
        groups=[group.tolist() for group in groups],
        across_classes=sum(mixed),
        across_splits=sum(p and not m for p, m in zip(parted, mixed, strict=True)),
    )
