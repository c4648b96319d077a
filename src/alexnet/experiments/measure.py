"""From a finished run to its outcome: errors picture by picture, or what the curves say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from alexnet.config.recipe import Recipe
from alexnet.data.load import open_data
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store
from alexnet.evaluation.metrics import rank_of_label
from alexnet.experiments.experiment import Measure
from alexnet.experiments.outcome import Outcome
from alexnet.inference.classifier import Classifier, Crops, load
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe

AT_ONCE = 512
"""Pictures evaluated together."""


def measure_run(run: RunFolder, measure: Measure, crops: Crops, reporter: Reporter) -> Outcome:
    """The outcome of a run that has ended.

    Where the run has validation pictures and no test, as on ImageNet, its last network is judged
    on those, since the best one was chosen by them.
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
            store, rows = judged_rows(recipe, measure, reporter)
            return misclassified(load(model, recipe.device), store, rows, crops)


def measure_diverged(recipe: Recipe, measure: Measure) -> Outcome:
    """The outcome of a run that diverged: it knows nothing, and never gets anywhere."""
    if measure == "epochs_to_error":
        return Outcome(value=recipe.epochs - 0.5, is_bound=True, has_diverged=True)
    return Outcome(value=1.0, has_diverged=True)


def epochs_to_error(history: Sequence[EpochRecord], recipe: Recipe) -> Outcome:
    """Epochs until the training error was `recipe.target_train_error`, with fractions.

    An epoch's error is the mean over its steps, so it is taken for the error at the epoch's middle;
    between two middles the error is a straight line, which begins at 1. A run that did not get
    there was above the goal until the middle of its last epoch: that is the bound.
    """
    goal, before, error_before = recipe.target_train_error or 0.0, 0.0, 1.0
    for record in history:
        middle, error = record.epoch - 0.5, record.train_top1_error
        if error <= goal:
            share = (error_before - goal) / (error_before - error)
            return Outcome(value=before + share * (middle - before))
        before, error_before = middle, error
    return Outcome(value=before, is_bound=True)


def judged_rows(recipe: Recipe, measure: Measure, reporter: Reporter) -> tuple[Store, np.ndarray]:
    """The store of a recipe and the rows that the measure judges."""
    pictures = recipe.data_options
    store = open_data(
        recipe.data, recipe.data_root, pictures.resize, pictures.resize_size, reporter
    )
    splits = split_indices(store, pictures, recipe.seed)
    if measure == "train_error":
        return store, splits.train
    return store, splits.test if len(splits.test) else splits.val


def misclassified(classifier: Classifier, store: Store, rows: np.ndarray, crops: Crops) -> Outcome:
    """Which of some rows a classifier is wrong about; ties count against it."""
    wrong: list[int] = []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        beliefs = torch.from_numpy(classifier.probabilities(store.images(some), crops))
        is_wrong = rank_of_label(beliefs, torch.from_numpy(store.labels[some])) >= 1
        wrong += some[is_wrong.numpy()].tolist()
    return Outcome(value=len(wrong) / len(rows), pictures=tuple(rows.tolist()), wrong=tuple(wrong))


def curve(path: Path) -> list[EpochRecord]:
    """The learning curve of a run folder; empty where it ended before its first epoch did."""
    run = RunFolder(path)
    return read_metrics(run) if run.metrics.exists() else []
