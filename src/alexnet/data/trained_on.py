"""Which images something was trained on before, also where they have come into other data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alexnet.config.recipe import DataOptions
from alexnet.data.duplicates import equal_images
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store, find_store


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierTraining:
    """What tells the images of an earlier training."""

    manifest_hash: str
    """Of the data as it was then."""
    data_options: DataOptions
    seed: int


def trained_on(earlier: EarlierTraining, store: Store, indices: np.ndarray) -> np.ndarray | None:
    """Which of some images of a store were trained on: bool [len(indices)].

    Images of other data, and of data that has changed since, are compared with the store of the
    training, to the last bit of their pixels. It is not built for that, nor is the data opened.

    Returns:
        None where it cannot be known: the store of the training is not here.
    """
    options, is_same = earlier.data_options, earlier.manifest_hash == store.manifest_hash()
    needs_hashes, then = options.split == "hash", store
    if not is_same or (needs_hashes and store.image_hashes is None):
        found = find_store(earlier.manifest_hash, options.stored_form)
        if found is None or (needs_hashes and found.image_hashes is None):
            return None
        then = found
    train = split_indices(then, options, earlier.seed).train
    return np.isin(indices, train) if is_same else equal_images(store, indices, then, train)


def trained_on_warning(earlier: EarlierTraining, what: str, store: Store, test: np.ndarray) -> str:
    """The sentence on test images that were trained on before; "" if none is known to be.

    Args:
        earlier: the training of what is trained further.
        what: it is, such as "the layers were pretrained".
        store: the images of the training now.
        test: indices of its test images.
    """
    seen = trained_on(earlier, store, test)
    if seen is None or not seen.any():
        return ""
    return (
        f"{what} on {np.count_nonzero(seen):,} of the {len(test):,} test images, so the test error "
        f"will be too low: {_way_out(earlier, store)}"
    )


def _way_out(earlier: EarlierTraining, store: Store) -> str:
    """How to train on images of which the test images were not trained on before."""
    is_same = earlier.manifest_hash == store.manifest_hash()
    is_by_hash = earlier.data_options.split == "hash" and not any(store.info.splits)
    if is_same or is_by_hash:
        return f"train with {' '.join(split_flags(earlier.data_options, earlier.seed))}"
    return (
        "the data has changed since, and so has its split; give it a test folder of its own, and "
        "train with --split hash if more changes follow: that keeps each image in its split"
    )


def split_flags(options: DataOptions, seed: int) -> list[str]:
    """The flags that hold out the same test images as a training with these options and this seed.

    They do so while the data stays, and of a split by hash also when it changes.
    """
    split_seed = seed if options.split_seed is None else options.split_seed
    flags = ["--split-seed", str(split_seed), "--split", options.split]
    if options.test_fraction is not None:
        flags += ["--test-fraction", f"{options.test_fraction:g}"]
    return flags
