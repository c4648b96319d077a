"""The data of a run as it is on this machine now: its image store, if it is there and the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.errors import AlexNetError
from alexnet.io.text import error_text
from alexnet.report.stored_run import StoredRun
from alexnet.reporter import NullReporter
from alexnet.training.data import plan_data

MAX_COMPARED = 20_000
"""Images with equal color moments that are compared pixel by pixel."""


@dataclass(frozen=True, kw_only=True)
class RunData:
    """A run's images; None and a reason where they cannot be had."""

    store: Store | None = None
    splits: Splits | None = None
    has_pixels: bool = False
    """Whether the images are decoded; none are for a report."""
    problem: str = ""
    """Why there is no store, no pixels, or no trust in them; "" if all is well."""


def open_run_data(run: StoredRun) -> RunData:
    """The data of a run; nothing is downloaded or decoded for it."""
    if run.recipe is None:
        return RunData(problem="the run has no recipe that names its data")
    try:
        store, splits, has_pixels = plan_data(run.recipe, NullReporter())
    except (AlexNetError, OSError, ValueError) as error:
        return RunData(problem=error_text(error))
    if run.manifest_hash and store.manifest_hash() != run.manifest_hash:
        return RunData(problem="the data has changed since the training")
    problem = "" if has_pixels else "its images are not in the cache; alexnet evaluate decodes them"
    return RunData(store=store, splits=splits, has_pixels=has_pixels, problem=problem)


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Groups of images that are equal to the last bit as they are stored."""

    groups: list[list[int]]
    """Indices into the store, ascending."""
    across_classes: int
    """Groups with images of several classes."""
    across_splits: int
    """Other groups with images of several splits."""


def find_duplicates(data: RunData) -> Duplicates | None:
    """The duplicates of a store, found by their color moments and then by their pixels.

    None without pixels, or where too many images have the same moments.
    """
    store, splits = data.store, data.splits
    if store is None or splits is None or not data.has_pixels:
        return None
    candidates = list(_equal_rows(store.color_moments, np.flatnonzero(store.usable)))
    if sum(map(len, candidates)) > MAX_COMPARED:
        return None
    groups = [group for same in candidates for group in _equal_images(store, same)]
    split_of = np.zeros(len(store), np.int8)
    for number, indices in enumerate(splits.by_name.values(), 1):
        split_of[indices] = number
    classes = sum(len(set(store.labels[group].tolist())) > 1 for group in groups)
    parts = sum(
        len(set(store.labels[group].tolist())) == 1 and len(set(split_of[group].tolist())) > 1
        for group in groups
    )
    return Duplicates(groups=sorted(groups), across_classes=classes, across_splits=parts)


def _equal_rows(moments: np.ndarray, indices: np.ndarray) -> Iterator[list[int]]:
    """Groups of indices whose rows are equal."""
    rows = np.ascontiguousarray(moments[indices])
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
    for part in np.split(indices[order], starts[1:]):
        if len(part) > 1:
            yield sorted(part.tolist())


def _equal_images(store: Store, indices: Sequence[int]) -> list[list[int]]:
    """Groups of indices whose images are equal."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index in indices:
        groups[store.image(index).tobytes()].append(index)
    return [group for group in groups.values() if len(group) > 1]
