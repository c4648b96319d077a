"""Several models on the same images: what each gets wrong, and whether the errors differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alexnet.data.store.store import Store
from alexnet.errors import DataError, ModelFileError, UsageError, require
from alexnet.evaluation.advice import crops_advice
from alexnet.evaluation.alignment import align_labels
from alexnet.evaluation.evaluator import (
    SplitName,
    open_evaluation_data,
    predict_probabilities,
    select_split,
)
from alexnet.evaluation.intervals import (
    ConfidenceInterval,
    holm_adjusted,
    mcnemar_p_value,
    paired_difference_interval,
    wilson_interval,
)
from alexnet.evaluation.training_images import is_training_data, training_images
from alexnet.inference.classifier import Classifier
from alexnet.inference.predictor import Crops
from alexnet.reporter import NullReporter, ProgressCallback, Reporter, ignore_progress


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelErrors:
    """How many of the images a model gets wrong."""

    name: str
    num_wrong: int
    top1_error: float
    """0 to 1."""
    top1_interval: ConfidenceInterval
    """Wilson's, 95 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedTest:
    """The comparison of a model with the first one, on the same images."""

    name: str
    only_first_wrong: int
    """Images that only the first model gets wrong."""
    only_this_wrong: int
    """Images that only this model gets wrong."""
    difference: float
    """This model's error minus the first one's; below 0 if this model is better."""
    interval: ConfidenceInterval
    """The 95 % confidence interval of the difference, by Tango's method for pairs."""
    p_value: float
    """The p-value of McNemar's exact test."""
    adjusted_p_value: float
    """The p-value adjusted for the number of tests (Holm)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Models on the same images of one split."""

    data: str
    split: str
    crops: Crops
    num_images: int
    models: tuple[ModelErrors, ...]
    tests: tuple[PairedTest, ...]
    """One for each model after the first."""


def compare_models(
    classifiers: Mapping[str, Classifier],
    data: str = "",
    *,
    data_root: str = "",
    label_from: str = "",
    split: SplitName = "auto",
    crops: Crops = 1,
    reporter: Reporter | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Comparison:
    """The errors of several models on the same images, and tests against the first one.

    Images that one of them was trained on are left out, unless `split` is "train" or "all". The
    tests are about the images alone: with another seed each model would be another one.

    Args:
        classifiers: two or more, by name.
        data: as for `evaluate`; what each was trained on unless given, which must be the same.
        data_root: folder searched for data sets first.
        label_from: as for `evaluate`.
        split: as for `evaluate`. Models that were not trained on the data take the split of one
            that was.
        crops: 1, or 10 for the paper's ten crops.
        reporter: receives notes and the progress of building the stores.
        on_progress: called with (images done, images in all) for each model.

    Raises:
        UsageError: fewer than two models, or an imported one where no data is given.
        DataError: the data cannot be used, the models have other data or other splits, or they
            were trained on all images.
    """
    require(len(classifiers) > 1, "name two models or more to compare", UsageError)
    reporter = reporter or NullReporter()
    stores = {
        name: open_evaluation_data(classifier, data, data_root, reporter, label_from)
        for name, classifier in classifiers.items()
    }
    check_same_data(stores)
    for name, classifier in classifiers.items():
        if text := crops_advice(classifier, crops):
            reporter.note(f"{name}: {text}")
    split_name, indices = common_split(classifiers, stores, data, split)
    if split not in ("train", "all"):
        indices = unseen_images(classifiers, stores, indices, reporter)
    wrong = {
        name: misclassified(name, classifier, stores[name], indices, crops, on_progress)
        for name, classifier in classifiers.items()
    }
    store = next(iter(stores.values()))
    return compare_errors(wrong, data=store.info.name, split=split_name, crops=crops)


def check_same_data(stores: Mapping[str, Store]) -> None:
    """Reject stores of other images, labels or splits than the first one's.

    Raises:
        DataError: names two models with other data.
    """
    (first, reference), *others = stores.items()
    for name, store in others:
        if store.manifest_hash() != reference.manifest_hash():
            raise DataError(
                f"{first} was trained on {reference.info.name} ({len(reference):,} images) and "
                f"{name} on {store.info.name} ({len(store):,} images), which are not the same "
                "images; name the data to compare them on with --data"
            )


def common_split(
    classifiers: Mapping[str, Classifier], stores: Mapping[str, Store], data: str, split: SplitName
) -> tuple[str, np.ndarray]:
    """The name and the image indices of a split that is the same for all models.

    Raises:
        DataError: models that were trained on the data split it in different ways.
    """
    own = [n for n, c in classifiers.items() if is_training_data(c, stores[n], data)]
    reference, *others = own or [next(iter(classifiers))]
    name, indices = select_split(classifiers[reference], stores[reference], data, split)
    for other in others:
        _, same = select_split(classifiers[other], stores[other], data, split)
        if not np.array_equal(indices, same):
            raise DataError(
                f"{reference} and {other} have different {name} images, by their seeds or "
                "fractions; train them with the same --split, --split-seed, --test-fraction and "
                "--val-fraction, or compare them on other data with --data"
            )
    return name, indices


def unseen_images(
    classifiers: Mapping[str, Classifier],
    stores: Mapping[str, Store],
    indices: np.ndarray,
    reporter: Reporter,
) -> np.ndarray:
    """The images of `indices` that no model was trained on; notes how many are left out.

    Raises:
        DataError: there are none.
    """
    is_new, num_images = np.ones(len(indices), bool), len(indices)
    for name, classifier in classifiers.items():
        seen = training_images(classifier, stores[name], indices)
        if seen is None:
            reporter.note(
                f"{name} was trained on {classifier.info.recipe.data}, whose image store is not in "
                "the cache, so it is unknown whether it was trained on some of these images"
            )
        elif count := int(seen.sum()):
            is_new &= ~seen
            reporter.note(
                f"{name} was trained on {count:,} of the {num_images:,} images, which are left out"
            )
    if not is_new.any():
        raise DataError(
            "every image was used to train one of the models; "
            "compare them on other data with --data"
        )
    return indices[is_new]


def misclassified(
    name: str,
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    crops: Crops,
    on_progress: ProgressCallback = ignore_progress,
) -> np.ndarray:
    """Which images a model gets wrong: bool [len(indices)].

    Raises:
        ModelFileError: its outputs are not finite.
    """
    labels = align_labels(classifier, store)[indices]
    probabilities = predict_probabilities(classifier, store, indices, crops, on_progress)
    if np.isnan(probabilities).any():
        raise ModelFileError(f"the outputs of {name} are not finite; its weights are too large")
    return np.asarray(probabilities.argmax(1) != labels)


def compare_errors(
    wrong: Mapping[str, np.ndarray], *, data: str = "", split: str = "", crops: Crops = 1
) -> Comparison:
    """The comparison from which images each model gets wrong: bool [N], by name."""
    (_, first), *others = wrong.items()
    total = len(first)
    counts = [(int((first & ~one).sum()), int((one & ~first).sum())) for _, one in others]
    p_values = [mcnemar_p_value(only_first, only_this) for only_first, only_this in counts]
    tests = zip(others, counts, p_values, holm_adjusted(p_values), strict=True)
    return Comparison(
        data=data,
        split=split,
        crops=crops,
        num_images=total,
        models=tuple(
            ModelErrors(
                name=name,
                num_wrong=int(one.sum()),
                top1_error=int(one.sum()) / total,
                top1_interval=wilson_interval(int(one.sum()), total),
            )
            for name, one in wrong.items()
        ),
        tests=tuple(
            PairedTest(
                name=name,
                only_first_wrong=only_first,
                only_this_wrong=only_this,
                difference=(only_this - only_first) / total,
                interval=paired_difference_interval(only_this, only_first, total),
                p_value=p,
                adjusted_p_value=adjusted,
            )
            for (name, _), (only_first, only_this), p, adjusted in tests
        ),
    )
