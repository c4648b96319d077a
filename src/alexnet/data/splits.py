"""Which pictures are for training, for choosing, and for the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alexnet.config.recipe import DataOptions
from alexnet.data.store.store import Store
from alexnet.errors import DataError


@dataclass(frozen=True)
class Splits:
    """Rows of a store: int64 arrays without overlap, ascending."""

    train: np.ndarray
    val: np.ndarray
    """Chooses the best epoch; may be empty."""
    test: np.ndarray

    def indices(self, name: str) -> np.ndarray:
        """The rows of "train", "val" or "test".

        Raises:
            DataError: that split has no pictures.
        """
        rows: np.ndarray = {"train": self.train, "val": self.val, "test": self.test}[name]
        if not len(rows):
            raise DataError(f"there are no {name} pictures; choose another split, such as all")
        return rows


def split_indices(store: Store, options: DataOptions, seed: int) -> Splits:
    """The splits of a store's usable pictures; see `split`."""
    given, share = np.array(store.info.splits), store.info.test_fraction
    return split(
        store.info.name, np.flatnonzero(store.usable), store.labels, given, share, options, seed
    )


def split(
    name: str,
    rows: np.ndarray,
    labels: np.ndarray,
    given: np.ndarray,
    test_fraction: float,
    options: DataOptions,
    seed: int,
) -> Splits:
    """The given splits where there are any, else drawn class by class (or together) from the seed.

    Args:
        name: of the data set, for messages.
        rows: pictures to split, ascending.
        labels: int64 [N], of all pictures.
        given: "train", "val", "test" or "" for each of the N pictures.
        test_fraction: held out where nothing is given and the options leave it open.
        options: shares and how to draw.
        seed: of the run; the split, too, unless the options have one for it.

    Raises:
        DataError: no pictures are left for training.
    """
    split_seed = seed if options.split_seed is None else options.split_seed
    train, val, test = (rows[given[rows] == name] for name in ("train", "val", "test"))
    if not len(train) and not len(test):
        share = test_fraction if options.test_fraction is None else options.test_fraction
        train, test = _hold_out(rows, labels, share, split_seed, options.split)
    if not len(val) and options.val_fraction:
        train, val = _hold_out(train, labels, options.val_fraction, split_seed + 1, options.split)
    if not len(train):
        raise DataError(f"{name}: no pictures are left for training")
    mixed = np.random.default_rng([seed, 23]).permutation(train)
    train = subsample_per_class(train, mixed, labels, options.train_per_class)
    return Splits(train, val, subsample_per_class(test, test, labels, options.test_per_class))


def _hold_out(
    rows: np.ndarray, labels: np.ndarray, share: float, seed: int, how: str
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out), both ascending.

    `random` holds out the last share of one shuffle, as the Tutorial did.
    """
    order = np.random.default_rng([seed, 17]).permutation(rows)
    groups = (
        [order]
        if how == "random"
        else [order[labels[order] == c] for c in np.unique(labels[order])]
    )
    held = [group[len(group) - round(len(group) * share) :] for group in groups]
    out = np.sort(np.concatenate(held)) if held else rows[:0]
    return np.setdiff1d(rows, out), out


def subsample_per_class(
    rows: np.ndarray, order: np.ndarray, labels: np.ndarray, count: int | None
) -> np.ndarray:
    """The first `count` rows of every class in `order`, ascending; all of them where it is None."""
    if count is None:
        return rows
    some = [order[labels[order] == c][:count] for c in np.unique(labels[order])]
    return np.sort(np.concatenate([order[:0], *some]))
