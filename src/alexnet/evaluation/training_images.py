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


def training_images(classifier: Classifier, store: Store, indices: np.ndarray) -> np.ndarray | None:
    """Which of some images of a store a classifier was trained on: bool [len(indices)].

    Images of other data, and of training data that has changed since, are compared with the store
    of the training, to the last bit of their pixels. It is not built for that, nor is the data
    opened.

    Args:
        classifier: what was trained.
        store: built with the classifier's resize options.
        indices: of the images.

    Returns:
        None where it cannot be known: the store of the training is not here.
    """
    info = classifier.info
    if not info.recipe.data:
        return np.zeros(len(indices), bool)  # imported: nothing says what it was trained on
    is_same = info.manifest_hash == store.manifest_hash()
    trained_on = store if is_same else _training_store(classifier)
    if trained_on is None:
        return None
    train = split_indices(trained_on, info.recipe.data_options, info.recipe.seed).train
    if is_same:
        return np.isin(indices, train)
    return equal_images(store, indices, trained_on, train)


def _training_store(classifier: Classifier) -> Store | None:
    """The store of a classifier's training data as it was then, or None if it is not here."""
    options = classifier.info.recipe.data_options
    return find_store(
        classifier.info.manifest_hash,
        resize=options.resize,
        side=options.resize_size,
        store_format=options.store_format,
    )
