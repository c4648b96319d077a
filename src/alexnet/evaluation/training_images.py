"""Which images a model was trained on, also where they have come into another data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alexnet.data.duplicates import equal_images
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store, find_store
from alexnet.inference.classifier import Classifier


def is_training_data(classifier: Classifier, store: Store, data: str) -> bool:
    """Whether a store has the data that the classifier was trained on, by path or by content."""
    is_same_path = is_training_path(classifier, data)
    return is_same_path or classifier.info.manifest_hash == store.manifest_hash()


def is_training_path(classifier: Classifier, data: str) -> bool:
    """Whether `data` names what the classifier was trained on; "" does."""
    trained_on = classifier.info.recipe.data
    return data in ("", trained_on) or str(Path(data).expanduser().resolve()) == trained_on


def training_images(classifier: Classifier, store: Store, data: str = "") -> np.ndarray | None:
    """Which images of a store a classifier was trained on: bool [N].

    Images of other data are compared with the store of the training, to the last bit of their
    pixels. It is not built for that, nor is the data opened.

    Args:
        classifier: what was trained.
        store: built with the classifier's resize options.
        data: what the store was opened from; "" for the classifier's own training data.

    Returns:
        None where it cannot be known: the store of the training is not here.
    """
    found, recipe = np.zeros(len(store), bool), classifier.info.recipe
    if not recipe.data:
        return found  # imported: nothing says what it was trained on
    trained_on = store if is_training_data(classifier, store, data) else _training_store(classifier)
    if trained_on is None:
        return None
    train = split_indices(trained_on, recipe.data_options, recipe.seed).train
    if trained_on is store:
        found[train] = True
        return found
    return equal_images(store, trained_on, train)


def _training_store(classifier: Classifier) -> Store | None:
    """The store of a classifier's training data as it was then, or None if it is not here."""
    options = classifier.info.recipe.data_options
    return find_store(
        classifier.info.manifest_hash,
        resize=options.resize,
        side=options.resize_size,
        store_format=options.store_format,
    )
