"""The outcome of a finished run: misclassified images, or what the learning curve says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from alexnet.config.recipe import Recipe
from alexnet.data.load import prepare_dataset
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store
from alexnet.evaluation.evaluator import predict_probabilities
from alexnet.evaluation.metrics import rank_of_label
from alexnet.experiments.experiment import Measure
from alexnet.experiments.outcome import Outcome
from alexnet.inference.classifier import Classifier, load
from alexnet.inference.predictor import Crops
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe


def measure_run(run: RunFolder, measure: Measure, crops: Crops, reporter: Reporter) -> Outcome:
    """The outcome of a finished run.

    ImageNet has a validation split and no test split. There the last network is evaluated on the
    validation split, since the best one was chosen by it.
    """
    recipe = read_recipe(run.config)
    match measure:
        case "epochs_to_error":
            return epochs_to_error(read_metrics(run), recipe)
        case "early_train_error":
            errors = [record.train_top1_error for record in read_metrics(run)]
            return Outcome(value=float(np.mean(errors)))
        case "test_error" | "train_error":
            model = run.last if run.last.exists() else run.model
            store, indices = evaluated_images(recipe, measure, reporter)
            return measure_classifier(load(model, recipe.device), store, indices, crops)


def measure_diverged(recipe: Recipe, measure: Measure) -> Outcome:
    """The outcome of a diverged run: 100 % error, and the target is never reached."""
    if measure == "epochs_to_error":
        return Outcome(value=recipe.epochs - 0.5, is_censored=True, has_diverged=True)
    return Outcome(value=1.0, has_diverged=True)


def epochs_to_error(history: Sequence[EpochRecord], recipe: Recipe) -> Outcome:
    """Epochs, with fractions, until the training error reaches the recipe's `target_train_error`.

    The recorded training error is the mean over an epoch's steps, so it is assigned to the middle
    of the epoch; between two middles the error is interpolated linearly, from 1 at the start. A run
    that does not reach the target is censored at the middle of its last epoch.
    """
    target, previous, previous_error = recipe.stopping.target_train_error or 0.0, 0.0, 1.0
    for record in history:
        middle, error = record.epoch - 0.5, record.train_top1_error
        if error <= target:
            fraction = (previous_error - target) / (previous_error - error)
            return Outcome(value=previous + fraction * (middle - previous))
        previous, previous_error = middle, error
    return Outcome(value=previous, is_censored=True)


def evaluated_images(
    recipe: Recipe, measure: Measure, reporter: Reporter
) -> tuple[Store, np.ndarray]:
    """The recipe's image store and the indices of the images that the measure is taken on.

    These are all test images: `test_per_class` only limits those of the learning curve, which are
    evaluated after every epoch.
    """
    options = replace(recipe.data_options, test_per_class=None)
    store = prepare_dataset(
        recipe.data,
        recipe.data_root,
        options.stored_form,
        label_from=options.label_from,
        hash_images=options.split == "hash",
        reporter=reporter,
    )
    splits = split_indices(store, options, recipe.seed)
    if measure == "train_error":
        return store, splits.train
    return store, splits.test if len(splits.test) else splits.val


def measure_classifier(
    classifier: Classifier, store: Store, indices: np.ndarray, crops: Crops
) -> Outcome:
    """The outcome of a classifier: which of some images it misclassifies."""
    probabilities = torch.from_numpy(predict_probabilities(classifier, store, indices, crops))
    ranks = rank_of_label(probabilities, torch.from_numpy(store.labels[indices]))
    misclassified = indices[(ranks >= 1).numpy()].tolist()
    return Outcome(
        value=len(misclassified) / len(indices),
        indices=tuple(indices.tolist()),
        misclassified=tuple(misclassified),
    )


def read_history(path: Path) -> list[EpochRecord]:
    """The learning curve of a run folder; empty where the run ended within its first epoch."""
    run = RunFolder(path)
    return read_metrics(run) if run.metrics.exists() else []
