"""Which images a model was trained on, also where they have come into another data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alexnet.data.store.store import Store
from alexnet.data.trained_on import EarlierTraining, trained_on
from alexnet.inference.classifier import Classifier
from alexnet.io.paths import path_text


def is_training_data(classifier: Classifier, store: Store, data: str) -> bool:
    """Whether a store has the data that the classifier was trained on, by path or by content."""
    return is_training_path(classifier, data) or earlier_training(classifier).is_of(store)


def earlier_training(classifier: Classifier) -> EarlierTraining:
    """What identifies the images that a classifier was trained on."""
    info = classifier.info
    return EarlierTraining(
        manifest_hash=info.manifest_hash,
        data_options=info.recipe.data_options,
        seed=info.recipe.seed,
    )


def is_training_path(classifier: Classifier, data: str) -> bool:
    """Whether `data` names what the classifier was trained on; "" does."""
    trained_on = classifier.info.recipe.data
    return data in ("", trained_on) or str(Path(path_text(data)).resolve()) == trained_on


def training_images(classifier: Classifier, store: Store, indices: np.ndarray) -> np.ndarray | None:
    """Which of some images of a store a classifier was trained on, as `trained_on` finds them.

    Args:
        classifier: what was trained.
        store: built with the classifier's resize options.
        indices: indices of the images.

    Returns:
        bool [len(indices)]; None where it cannot be known: the store of the training is not here.
    """
    if not classifier.info.recipe.data:
        return np.zeros(len(indices), bool)  # imported: nothing says what it was trained on
    return trained_on(earlier_training(classifier), store, indices)
