"""The features of a split of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.alignment import align_labels
from alexnet.evaluation.evaluator import (
    SplitName,
    open_evaluation_data,
    select_split,
)
from alexnet.evaluation.training_images import is_training_data
from alexnet.features.build import build_index
from alexnet.features.index import FeatureIndex
from alexnet.inference.classifier import Classifier
from alexnet.reporter import NullReporter, Reporter, progress_callback

BLOCK_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class SplitFeatures:
    """The images of a split with the features that a classifier has of them."""

    classifier: Classifier
    store: Store
    index: FeatureIndex
    """The features of all images of the store."""
    split: str
    """The split's name."""
    rows: np.ndarray
    """int64, ascending: the images of the split, as indices into the store."""
    labels: np.ndarray | None
    """int64, of all images: labels as the classifier's classes; None where the data has others."""

    def blocks(self) -> Iterator[np.ndarray]:
        """The features of the split, float32 [n, D] at a time."""
        step = max(1, BLOCK_BYTES // (4 * self.index.info.num_features))
        for start in range(0, len(self.rows), step):
            yield self.index.features[self.rows[start : start + step]]


def open_split(
    classifier: Classifier,
    data: str = "",
    *,
    data_root: str = "",
    label_from: str = "",
    split: SplitName = "auto",
    is_searched: bool = False,
    reporter: Reporter | None = None,
) -> SplitFeatures:
    """The features of a split, computed now unless they have been before.

    Args:
        classifier: gives the features; not one that is optimized for inference.
        data: a data set's name, a folder or a list; what it was trained on unless given.
        data_root: folder searched for data sets first.
        label_from: as `DataOptions.label_from`.
        split: as for `evaluate`.
        is_searched: whether `auto` is the train split, or all images of data without splits that
            the classifier was not trained on, as for a search.
        reporter: receives notes, and the progress of decoding and of computing features.

    Raises:
        UsageError: no data is given, and the classifier names none; or it is optimized.
        DataError: the data cannot be used, or the split has no images.
    """
    reporter = reporter or NullReporter()
    store = open_evaluation_data(classifier, data, data_root, reporter, label_from)
    if split == "auto" and is_searched:
        has_train = is_training_data(classifier, store, data) or "train" in store.info.splits
        split = "train" if has_train else "all"
    name, rows = select_split(classifier, store, data, split)
    index = build_index(classifier, store, on_progress=progress_callback(reporter, "on_features"))
    return SplitFeatures(classifier, store, index, name, rows, known_labels(classifier, store))


def known_labels(classifier: Classifier, store: Store) -> np.ndarray | None:
    """The store's labels as the classifier's classes, int64 [N]; None where these are others."""
    try:
        return align_labels(classifier, store)
    except DataError:
        return None
