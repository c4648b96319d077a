"""Which images are for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from alexnet.config.recipe import DataOptions
from alexnet.data.duplicates import duplicate_groups
from alexnet.data.store.store import Store
from alexnet.errors import DataError


@dataclass(frozen=True)
class Splits:
    """Indices into a store: int64 arrays without overlap, ascending."""

    train: np.ndarray
    val: np.ndarray
    """Chooses the best epoch; may be empty."""
    test: np.ndarray

    @property
    def by_name(self) -> dict[str, np.ndarray]:
        """The indices of "train", "val" and "test"."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def counts(self) -> dict[str, int]:
        """Number of images in each split that is not empty."""
        return {name: len(indices) for name, indices in self.by_name.items() if len(indices)}

    def indices(self, name: str) -> np.ndarray:
        """The indices of "train", "val" or "test".

        Raises:
            DataError: that split has no images.
        """
        if name not in self.counts:
            others = "".join(f"{split} ({count:,}), " for split, count in self.counts.items())
            raise DataError(f"there are no {name} images; choose another split: {others}or all")
        return self.by_name[name]


def require_training_images(name: str, splits: Splits) -> None:
    """Reject splits that leave nothing to train on.

    Args:
        name: of the data set, for the message.
        splits: of that data set.

    Raises:
        DataError: there are no training images.
    """
    if not len(splits.train):
        others = ", ".join(f"{count:,} {split}" for split, count in splits.counts.items())
        raise DataError(
            f"{name}: no images are left for training"
            f"{f' (there are {others} images)' if others else ''}; "
            "add a train split, or evaluate a model on it with alexnet evaluate --data"
        )


def split_indices(store: Store, options: DataOptions, seed: int) -> Splits:
    """The splits of a store's usable images; see `split`. Equal images are never parted."""
    usable = np.flatnonzero(store.usable)
    return split(
        usable,
        store.labels,
        np.array(store.info.splits),
        store.info.test_fraction,
        options,
        seed,
        groups=[] if store.is_planned else duplicate_groups(store, usable),
    )


def split(
    indices: np.ndarray,
    labels: np.ndarray,
    given_splits: np.ndarray,
    test_fraction: float,
    options: DataOptions,
    seed: int,
    groups: Iterable[np.ndarray] = (),
) -> Splits:
    """The data set's own splits if it has any, else random ones, per class or over all images.

    Args:
        indices: images to split, ascending.
        labels: int64 [N], of all images.
        given_splits: "train", "val", "test" or "" for each of the N images.
        test_fraction: held out if the data set has no splits and the options no fraction.
        options: fractions, and whether the split is stratified.
        seed: of the run; also decides the split unless the options have a seed for it.
        groups: indices of images that are the same; a random split parts none of them.
    """
    split_seed = seed if options.split_seed is None else options.split_seed
    train, val, test = (indices[given_splits[indices] == name] for name in ("train", "val", "test"))
    if not (given_splits[indices] != "").any():
        fraction = test_fraction if options.test_fraction is None else options.test_fraction
        train, test = _hold_out(indices, labels, fraction, split_seed, options.split)
        train, test = _keep_together(train, test, groups)
    if not len(val) and options.val_fraction:
        train, val = _hold_out(train, labels, options.val_fraction, split_seed + 1, options.split)
        train, val = _keep_together(train, val, groups)
    shuffled = np.random.default_rng([seed, 23]).permutation(train)
    train = subsample_per_class(train, shuffled, labels, options.train_per_class)
    return Splits(train, val, subsample_per_class(test, test, labels, options.test_per_class))


def _hold_out(
    indices: np.ndarray, labels: np.ndarray, fraction: float, seed: int, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out), both ascending.

    `random` holds out the end of one shuffle, as the Tutorial did; else each class is shuffled.
    """
    order = np.random.default_rng([seed, 17]).permutation(indices)
    groups = (
        [order]
        if method == "random"
        else [order[labels[order] == c] for c in np.unique(labels[order])]
    )
    ends = [group[len(group) - round(len(group) * fraction) :] for group in groups]
    held_out = np.sort(np.concatenate(ends)) if ends else indices[:0]
    return np.setdiff1d(indices, held_out), held_out


def _keep_together(
    kept: np.ndarray, held_out: np.ndarray, groups: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The two, after each group has gone where most of it is; a half goes where its first is."""
    for group in groups:
        is_kept = np.isin(group, kept)
        own = group[is_kept | np.isin(group, held_out)]
        if not len(own):
            continue
        share = is_kept.sum() / len(own)
        if share > 0.5 or (share == 0.5 and own[0] in kept):
            kept, held_out = np.union1d(kept, own), np.setdiff1d(held_out, own)
        else:
            kept, held_out = np.setdiff1d(kept, own), np.union1d(held_out, own)
    return kept, held_out


def subsample_per_class(
    indices: np.ndarray, order: np.ndarray, labels: np.ndarray, count: int | None
) -> np.ndarray:
    """The first `count` indices of every class in `order`, ascending; all of them for None."""
    if count is None:
        return indices
    chosen = [order[labels[order] == c][:count] for c in np.unique(labels[order])]
    return np.sort(np.concatenate([order[:0], *chosen]))
