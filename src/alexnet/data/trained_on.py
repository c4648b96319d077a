"""Which images something was trained on before, also where they have come into other data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alexnet.config.preprocessing import StoredForm
from alexnet.config.recipe import DataOptions
from alexnet.data.duplicates import equal_images
from alexnet.data.splits import split_indices
from alexnet.data.store.formats import store_fingerprint
from alexnet.data.store.store import Store, find_store


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierTraining:
    """What identifies the images of an earlier training."""

    manifest_hash: str
    """`Store.manifest_hash` of the data as it was then, for its split."""
    data_options: DataOptions
    seed: int

    def is_of(self, store: Store) -> bool:
        """Whether the store has the same images and the same split."""
        return self.manifest_hash == store.manifest_hash(self.data_options.split)

    def has_names_of(self, store: Store) -> bool:
        """Whether the split was by hash, of images of the same names, classes and splits."""
        return self.manifest_hash.startswith(f"{store.manifest_hash()}-")


def trained_on(earlier: EarlierTraining, store: Store, indices: np.ndarray) -> np.ndarray | None:
    """Which of some images of a store were trained on: bool [len(indices)].

    Images of other data, and of data that has changed since, are compared with the store of the
    training, to the last bit of their pixels. That store is not built for this, nor is its data
    opened.

    Returns:
        None where it cannot be known: the store of the training is not here, or has images of
        another form.
    """
    options, is_same = earlier.data_options, earlier.is_of(store)
    form, split = options.stored_form, options.split
    then = store if is_same else find_store(earlier.manifest_hash, form, split)
    if then is None:
        return None
    train = split_indices(then, options, earlier.seed).train
    if is_same or _has_same_files(store, then):
        return np.isin(indices, train)
    is_comparable = _stored_form(store) == _stored_form(then)
    return equal_images(store, indices, then, train) if is_comparable else None


def _stored_form(store: Store) -> StoredForm:
    info = store.info
    return StoredForm(resize=info.resize, resize_size=info.side, store_format=info.store_format)


def _has_same_files(*stores: Store) -> bool:
    """Whether stores, whose forms may differ, were made of the same files, unchanged between."""
    fingerprints = {
        store_fingerprint(one.info.fingerprint, "jpeg")
        if one.info.store_format == "pixels"
        else one.info.fingerprint
        for one in stores
    }
    return len(fingerprints) == 1


def trained_on_warning(earlier: EarlierTraining, what: str, store: Store, test: np.ndarray) -> str:
    """The sentence on test images that were trained on before, or may have been; else "".

    They may have been where a split by hash of the same names cannot be compared with this one.

    Args:
        earlier: the training of what is trained further.
        what: the beginning of the sentence, such as "the layers were pretrained".
        store: the images of the training now.
        test: indices of its test images.
    """
    seen = trained_on(earlier, store, test)
    if seen is None and earlier.has_names_of(store) and "test" not in store.info.splits:
        return (
            f"{what} on images of these names that were split by hash; where files were edited "
            "since, that split is another one, and the image store of then is not in the cache in "
            f"this form, so it cannot be known how many of the {len(test):,} test images were "
            "trained on"
        )
    if seen is None or not seen.any():
        return ""
    return (
        f"{what} on {np.count_nonzero(seen):,} of the {len(test):,} test images, so the test error "
        f"will be too low: {_way_out(earlier, store)}"
    )


def _way_out(earlier: EarlierTraining, store: Store) -> str:
    """How to train with a test split of which no image was trained on before."""
    options, seed = earlier.data_options, earlier.seed
    if earlier.is_of(store) or _keeps_split_by_hash(earlier, store):
        return f"train with {' '.join(split_flags(options, seed))}"
    if options.split == "hash" and not any(store.info.splits):
        return (
            "image files were edited since, which changes a split by hash; give it a test folder "
            "of its own"
        )
    return (
        "the data has changed since, and so has its split; give it a test folder of its own, and "
        "train with --split hash if more changes follow: that keeps each image in its split"
    )


def _keeps_split_by_hash(earlier: EarlierTraining, store: Store) -> bool:
    """Whether the earlier split is by hash and holds out no image now that was trained on then.

    That is so after images were added and removed, but not after their files were edited.
    """
    if earlier.data_options.split != "hash" or any(store.info.splits):
        return False
    if store.image_hashes is None:
        return True  # as far as can be known
    test = split_indices(store, earlier.data_options, earlier.seed).test
    seen = trained_on(earlier, store, test)
    return seen is None or not seen.any()


def split_flags(options: DataOptions, seed: int) -> list[str]:
    """The flags that hold out the same test images as a training with these options and this seed.

    They do so while the data stays the same; a split by hash allows images to be added or removed.
    """
    split_seed = seed if options.split_seed is None else options.split_seed
    flags = ["--split-seed", str(split_seed), "--split", options.split]
    if options.test_fraction is not None:
        flags += ["--test-fraction", f"{options.test_fraction:g}"]
    return flags
