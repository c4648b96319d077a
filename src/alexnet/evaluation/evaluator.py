"""Evaluate a classifier on a split of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from alexnet.data.load import prepare_dataset, report_rejected
from alexnet.data.splits import Splits, split_indices
from alexnet.data.store.store import Store, as_indices
from alexnet.errors import DataError, MissingDataError, UsageError
from alexnet.evaluation.advice import crops_advice
from alexnet.evaluation.alignment import align_labels
from alexnet.evaluation.results import Evaluation, compute_metrics, find_top_losses
from alexnet.evaluation.training_images import (
    earlier_training,
    is_training_data,
    is_training_path,
    training_images,
)
from alexnet.inference.classifier import Classifier
from alexnet.inference.predictor import Crops
from alexnet.parallel.world import current_world, join_world
from alexnet.reporter import (
    NullReporter,
    ProgressCallback,
    Reporter,
    ignore_progress,
)

CHUNK = 512
"""Images read and predicted at once, by each process."""

SplitName: TypeAlias = Literal["auto", "test", "val", "train", "all"]


@join_world()
def evaluate(
    classifier: Classifier,
    data: str = "",
    *,
    data_root: str = "",
    label_from: str = "",
    split: SplitName = "auto",
    crops: Crops = 1,
    reporter: Reporter | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Evaluation:
    """Errors, loss, per-class scores, confusion and top losses of a classifier.

    Args:
        classifier: from `alexnet.load`.
        data: a data set's name, a folder or a CSV file; what it was trained on unless given.
        data_root: folder searched for data sets first.
        label_from: as `DataOptions.label_from`, for other data than the model was trained on.
        split: `auto` is the test split if there is one, else val; for other data also train if
            there is no other split, and all images if there are no splits.
        crops: 1, or 10 for the paper's ten crops.
        reporter: receives notes and the progress of building the store.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: no data is given, and the classifier was imported, so it names none.
        DataError: the data cannot be used, or has a class that the classifier does not know.
    """
    reporter = reporter or NullReporter()
    store = open_evaluation_data(classifier, data, data_root, reporter, label_from)
    labels = align_labels(classifier, store)
    note_missing_classes(classifier, store, reporter)
    if text := crops_advice(classifier, crops):
        reporter.note(text)
    name, indices = select_split(classifier, store, data, split)
    result = evaluate_images(
        classifier, store, indices, split=name, crops=crops, labels=labels, on_progress=on_progress
    )
    seen = training_images(classifier, store, indices)
    if seen is None and is_training_path(classifier, data):
        reporter.note(
            "the image store of the training is not in the cache, so it is unknown whether the "
            "model was trained on some of these images"
        )
    return replace(result, num_trained_on=0 if seen is None else int(seen.sum()))


def evaluate_images(
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    *,
    split: str = "",
    crops: Crops = 1,
    num_top_losses: int = 16,
    labels: np.ndarray | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Evaluation:
    """Evaluate on some images of a store.

    Args:
        classifier: what is evaluated.
        store: built with the classifier's resize options.
        indices: indices of the images, as `Store.images` takes them.
        split: their name in the result.
        crops: 1 or 10.
        num_top_losses: images of the highest losses whose pixels are kept.
        labels: int64, one for each image of the store, in the order of the classifier's classes;
            the store's own unless given.
        on_progress: called with (images done, images in all).

    Raises:
        IndexError: an image is not there, or these are no indices.
        DataError: no images.
    """
    indices = as_indices(indices, len(store))
    if not len(indices):
        raise DataError(f"{store.info.name} has no images to evaluate on")
    probabilities = predict_probabilities(classifier, store, indices, crops, on_progress)
    truth, names = (store.labels if labels is None else labels)[indices], classifier.class_names
    metrics = compute_metrics(
        probabilities,
        truth,
        names,
        data=store.info.name,
        split=split,
        crops=crops,
        temperature=classifier.info.temperature,
        top_losses=find_top_losses(probabilities, truth, names, store, indices, num_top_losses),
    )
    return replace(metrics, network=classifier.answering_network)


def predict_probabilities(
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    crops: Crops = 1,
    on_progress: ProgressCallback = ignore_progress,
) -> np.ndarray:
    """Class probabilities float32 [len(indices), num_classes] of images of a store."""

    def compute(images: np.ndarray) -> np.ndarray:
        return classifier.probabilities(images, crops)

    return _in_chunks(compute, classifier, store, indices, on_progress)


def predict_logits(
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    on_progress: ProgressCallback = ignore_progress,
) -> np.ndarray:
    """The network's outputs float32 [len(indices), num_classes] for images of a store."""
    return _in_chunks(classifier.logits, classifier, store, indices, on_progress)


def _in_chunks(
    compute: Callable[[np.ndarray], np.ndarray],
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    on_progress: ProgressCallback,
) -> np.ndarray:
    """What `compute` gives for all images: float32 [len(indices), num_classes].

    The processes of a world share the images; each gets the results of all.
    """
    world = current_world()
    size = CHUNK * world.size
    found = np.empty((len(indices), len(classifier.class_names)), np.float32)
    for start in range(0, len(indices), size):
        chunk = indices[start : start + size]
        own = chunk[world.rows(len(chunk))]
        outputs = compute(store.images(own)) if len(own) else found[:0]
        found[start : start + size] = world.all_gather_rows(outputs, len(chunk))
        on_progress(start + len(chunk), len(indices))
    return found


def open_evaluation_data(
    classifier: Classifier, data: str, data_root: str, reporter: Reporter, label_from: str = ""
) -> Store:
    """The image store of some data, resized as the classifier needs it.

    The classifier's training data is labelled as for the training, unless `label_from` is given.

    Notes rejected images, and whether the data has changed since the classifier was trained on it.

    Raises:
        UsageError: no data is given, and the classifier names none.
    """
    recipe = classifier.info.recipe
    source, root = data or recipe.data, data_root or recipe.data_root
    if not source:
        raise UsageError("the model was imported and names no data set; give one with --data")
    if not label_from and is_training_path(classifier, data):
        label_from = recipe.data_options.label_from
    with _known_as_trained_on(data):
        store = prepare_dataset(
            source,
            root,
            classifier.info.stored_form,
            label_from=label_from,
            hash_images=recipe.data_options.split == "hash",
            reporter=reporter,
        )
    report_rejected(store, 1.0, reporter)
    earlier = earlier_training(classifier)
    if is_training_path(classifier, data) and not earlier.is_of(store):
        is_by_hash = recipe.data_options.split == "hash" and not any(store.info.splits)
        effect = (
            "the split by hash holds out the same images as then, and some of the new ones, which "
            "are also those whose files were edited"
            if is_by_hash and not earlier.has_names_of(store)
            else "the test split may contain training images"
        )
        reporter.note(f"{source} has changed since the training; {effect}")
    return store


@contextmanager
def _known_as_trained_on(data: str) -> Iterator[None]:
    """Add a hint at --data to an error about training data that no flag has named."""
    try:
        yield
    except MissingDataError:
        raise
    except DataError as error:
        if data:
            raise
        raise DataError(
            f"the model's training data cannot be opened: {error}; if it has moved, --data names it"
        ) from error


def note_missing_classes(classifier: Classifier, store: Store, reporter: Reporter) -> None:
    """Note if the data has only some of the model's classes."""
    total, present = len(classifier.class_names), len(store.info.class_names)
    if present < total:
        reporter.note(
            f"{store.info.name} has {present:,} of the model's {total:,} classes; "
            f"predictions and errors are over all {total:,}"
        )


def select_split(
    classifier: Classifier, store: Store, data: str, split: SplitName
) -> tuple[str, np.ndarray]:
    """The name and the image indices of a split, made as for the classifier's training.

    Args:
        classifier: the classifier, with the recipe that it was trained with.
        store: the images.
        data: what the store was opened from; "" for the classifier's own training data.
        split: as for `evaluate`.

    Raises:
        DataError: the split has no images.
    """
    recipe = classifier.info.recipe
    is_own = is_training_data(classifier, store, data)
    if split == "all" or (split == "auto" and not is_own and not any(store.info.splits)):
        return "all", np.flatnonzero(store.usable)
    options = recipe.data_options
    if not is_own and any(store.info.splits):  # a fraction was for the training data
        options = replace(options, test_fraction=None)
    splits = split_indices(store, options, recipe.seed)
    name: SplitName = split
    if name == "auto":
        name = _default_split(splits, may_be_train=not is_own)
    return name, splits.indices(name)


def _default_split(splits: Splits, *, may_be_train: bool) -> SplitName:
    """The split that `auto` means."""
    if "test" in splits.counts or "val" in splits.counts:
        return "test" if "test" in splits.counts else "val"
    return "train" if may_be_train else "test"
