"""Images on which a file in float16 or int8 is calibrated and compared with its model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alexnet.data.load import prepare_dataset, report_rejected
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.inference.classifier import Classifier
from alexnet.reporter import NullReporter, Reporter

MAX_CALIBRATION, MAX_COMPARED = 128, 1000


@dataclass(frozen=True, eq=False)
class RealImages:
    """Resized images, uint8 [N, S, S, 3], in two sets that share no image."""

    name: str
    """Name of the data set and of the split that is compared."""
    calibration: np.ndarray
    """Images from which the ranges of the values inside a network are measured."""
    compared: np.ndarray
    """Images on which the file is compared with the model."""


def load_real_images(
    classifier: Classifier, data: str = "", data_root: str = "", reporter: Reporter | None = None
) -> RealImages:
    """Load up to 128 images for calibration, and up to 1,000 others for comparison.

    Args:
        classifier: the classifier, whose preprocessing resizes the images.
        data: a data set's name, a folder or a list of images, labelled or not; one half is used for
            each purpose. If empty, the data the classifier was trained on: training images for
            calibration, and its test split, or else its validation split, for comparison.
        data_root: folder searched for data sets first.
        reporter: receives notes and the progress of building the store.

    Raises:
        UsageError: no data is given, and the classifier was imported, so it names none.
        DataError: the data cannot be used, or has fewer than 2 images.
    """
    recipe = classifier.info.recipe
    reporter = reporter or NullReporter()
    if not (data or recipe.data):
        raise UsageError(
            "--half and --int8 compare the file with the model on real images, and this model "
            "names none; give some with --data FOLDER"
        )
    store = prepare_dataset(
        data or recipe.data,
        data_root or recipe.data_root,
        classifier.info.stored_form,
        allow_unlabelled=True,
        label_from="" if data else recipe.data_options.label_from,
        hash_images=not data and recipe.data_options.split == "hash",
        reporter=reporter,
    )
    report_rejected(store, 1.0, reporter)
    split, calibration, compared = _halves(store) if data else _own_splits(classifier, store)
    return RealImages(
        f"{store.info.name}{split}",
        store.images(_sample(calibration, MAX_CALIBRATION)),
        store.images(_sample(compared, MAX_COMPARED)),
    )


def _own_splits(classifier: Classifier, store: Store) -> tuple[str, np.ndarray, np.ndarray]:
    """The name of the split that is compared, and the indices for calibration and comparison."""
    recipe = classifier.info.recipe
    splits = split_indices(store, recipe.data_options, recipe.seed)
    held_out = "test" if len(splits.test) else "val"
    compared = splits.by_name[held_out]
    if not len(compared) or not len(splits.train):
        return _halves(store)
    return f", {held_out} split", splits.train, compared


def _halves(store: Store) -> tuple[str, np.ndarray, np.ndarray]:
    usable = np.random.default_rng(0).permutation(np.flatnonzero(store.usable))
    if len(usable) < 2:
        raise DataError(f"{store.info.name} has {len(usable)} images; at least 2 are needed")
    return "", usable[: len(usable) // 2], usable[len(usable) // 2 :]


def _sample(indices: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the indices, a random sample that is always the same."""
    return np.sort(np.random.default_rng(0).permutation(indices)[:count])
