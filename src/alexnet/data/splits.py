"""Which images are for training, validation and test."""

from __future__ import annotations

import hashlib
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
        name: name of the data set, for the message.
        splits: splits of that data set.

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
    """The splits of a store's usable images; see `split`. Random ones keep equal images together.

    Raises:
        DataError: they are split by hash, and the store was opened without hashes.
    """
    usable = np.flatnonzero(store.usable)
    return split(
        usable,
        store.labels,
        np.array(store.info.splits),
        store.info.test_fraction,
        options,
        seed,
        groups=[] if store.is_planned else duplicate_groups(store, usable),
        image_hashes=store.image_hashes,
    )


def split(
    indices: np.ndarray,
    labels: np.ndarray,
    given_splits: np.ndarray,
    test_fraction: float,
    options: DataOptions,
    seed: int,
    groups: Iterable[np.ndarray] = (),
    image_hashes: np.ndarray | None = None,
) -> Splits:
    """The data set's own splits, and random ones for those that it lacks.

    A data set without any split gets a test split. One with some splits gets it only if the options
    have a fraction, which is then of the training images. Random splits are per class, over all
    images, or by hash: each image for itself, so that the others do not matter.

    Args:
        indices: images to split, ascending.
        labels: int64 [N], of all images.
        given_splits: "train", "val", "test" or "" for each of the N images.
        test_fraction: held out if the data set has no splits and the options no fraction.
        options: fractions, and how the split is made.
        seed: seed of the run; also decides the split unless the options have a seed for it.
        groups: indices of images that are the same; a random split keeps them together.
        image_hashes: uint64 [N], for a split by hash.

    Raises:
        DataError: the split is by hash, and there are no hashes.
    """
    split_seed = seed if options.split_seed is None else options.split_seed

    def hold_out(kept: np.ndarray, fraction: float, name: str) -> tuple[np.ndarray, np.ndarray]:
        if options.split == "hash":
            salt = f"{split_seed} {name} "
            return _hold_out_by_hash(kept, image_hashes, fraction, salt, groups)
        own_seed = split_seed + (name == "val")
        kept, held_out = _hold_out(kept, labels, fraction, own_seed, options.split)
        return _keep_together(kept, held_out, groups, len(labels))

    train, val, test = (indices[given_splits[indices] == name] for name in ("train", "val", "test"))
    if not (given_splits[indices] != "").any():
        fraction = test_fraction if options.test_fraction is None else options.test_fraction
        train, test = hold_out(indices, fraction, "test")
    elif not len(test) and options.test_fraction:
        train, test = hold_out(train, options.test_fraction, "test")
    if not len(val) and options.val_fraction:
        train, val = hold_out(train, options.val_fraction, "val")
    shuffled = np.random.default_rng([seed, 23]).permutation(train)
    train = subsample_per_class(train, shuffled, labels, options.train_per_class)
    return Splits(train, val, subsample_per_class(test, test, labels, options.test_per_class))


def _hold_out(
    indices: np.ndarray, labels: np.ndarray, fraction: float, seed: int, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Split indices into (kept, held out), both ascending.

    `random` holds out the end of one shuffle, as the Tutorial did; else each class is shuffled.
    """
    order = np.random.default_rng([seed, 17]).permutation(indices)
    groups = [order] if method == "random" else _by_class(order, labels)
    ends = [group[len(group) - round(len(group) * fraction) :] for group in groups]
    held_out = np.sort(np.concatenate(ends))
    return np.setdiff1d(indices, held_out), held_out


def _by_class(order: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """The indices of each class in the given order; one empty array if there are none."""
    by_label = order[np.argsort(labels[order], kind="stable")]
    return np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1)


def _keep_together(
    kept: np.ndarray, held_out: np.ndarray, groups: Iterable[np.ndarray], num_images: int
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out), after each group has moved to the part that has most of it.

    A group of which either part has half moves to the part of its first image.
    """
    is_kept, is_held_out = np.zeros(num_images, bool), np.zeros(num_images, bool)
    is_kept[kept], is_held_out[held_out] = True, True
    for group in groups:
        own = group[is_kept[group] | is_held_out[group]]
        num_kept = np.count_nonzero(is_kept[own])
        if 0 < num_kept < len(own):
            is_half = 2 * num_kept == len(own)
            stays = is_kept[own[0]] if is_half else 2 * num_kept > len(own)
            is_kept[own], is_held_out[own] = stays, not stays
    return np.flatnonzero(is_kept), np.flatnonzero(is_held_out)


def _hold_out_by_hash(
    indices: np.ndarray,
    image_hashes: np.ndarray | None,
    fraction: float,
    salt: str,
    groups: Iterable[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Split indices into (kept, held out): images with a number below the fraction are held out.

    Equal images have one number, the highest of theirs. So adding a copy, in a file of other bytes,
    can move images from the held-out part to the kept part, but never an image that was trained on
    to the held-out part. Removing a copy can do that.
    """
    if image_hashes is None:
        if fraction:
            raise DataError(
                "a split by hash needs the hashes of the images: load_dataset(hash_images=True)"
            )
        return indices, indices[:0]
    numbers = np.zeros(len(image_hashes))
    numbers[indices] = hash_numbers(image_hashes[indices], salt)
    for group in groups:
        numbers[group] = numbers[group].max()
    is_held_out = numbers[indices] < fraction
    return indices[~is_held_out], indices[is_held_out]


def hash_numbers(image_hashes: np.ndarray, salt: str) -> np.ndarray:
    """A number from 0 to below 1 for each hash, float64 [n], by hashing the salt and the hash.

    The numbers of two salts are independent. They are the same on every machine and will stay so.
    """
    content, start = image_hashes.astype("<u8").tobytes(), salt.encode()
    digests = b"".join(
        hashlib.blake2b(start + content[i : i + 8], digest_size=8).digest()
        for i in range(0, len(content), 8)
    )
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) / 2.0**53


def subsample_per_class(
    indices: np.ndarray, order: np.ndarray, labels: np.ndarray, count: int | None
) -> np.ndarray:
    """The first `count` indices of every class in `order`, ascending; all of them for None."""
    if count is None:
        return indices
    return np.sort(np.concatenate([one[:count] for one in _by_class(order, labels)]))
