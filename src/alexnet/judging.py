"""A classifier on a data set, from what people type: `alexnet.evaluate` and its verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alexnet.data.store.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.evaluator import (
    Evaluation,
    SplitName,
    choose_rows,
    is_training_data,
    labels_for,
)
from alexnet.evaluation.evaluator import evaluate as evaluate_rows
from alexnet.inference.classifier import Classifier, Views
from alexnet.records import Reporter, Silent
from alexnet.training.setup import check_refusals, open_data


@dataclass(frozen=True, eq=False)
class Judgement:
    """An evaluation and what it was made on."""

    evaluation: Evaluation
    split: str
    """Its name: "test", "val", "train" or "all"."""
    store: Store


def evaluate(
    classifier: Classifier,
    data: str = "",
    *,
    data_root: str = "",
    split: SplitName = "auto",
    views: Views = 1,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Errors, loss, per-class figures, confusion and worst pictures of a classifier.

    Args:
        classifier: what `alexnet.load` gives.
        data: a data set's name, a folder or a CSV; what it was trained on unless given.
        data_root: folder searched for data sets first.
        split: `auto` is the test split where there is one, else val; and all pictures of other
            data that has no splits.
        views: 1, or 10 for the paper's ten views.
        reporter: told what happens.

    Raises:
        UsageError: no data is given, and the classifier was imported and knows none.
        DataError: the data cannot be used, or has a class that the classifier does not know.
    """
    return judge(classifier, data, data_root, split, views, reporter or Silent()).evaluation


def judge(
    classifier: Classifier,
    data: str,
    data_root: str,
    split: SplitName,
    views: Views,
    reporter: Reporter,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Judgement:
    """As `evaluate`, with the split and the store; `progress` is told (pictures done, in all)."""
    recipe, rule = classifier.info.recipe, classifier.info.preprocessing
    place, root = data or recipe.data, data_root or recipe.data_root
    if not place:
        raise UsageError("the model was imported and names no data set; say which with --data")
    store = open_data(place, root, rule.resize, rule.store_pixels, reporter)
    check_refusals(store, 1.0, reporter)
    labels = labels_for(classifier, store)
    is_own = is_training_data(classifier, store, data)
    if is_own and classifier.info.listing != store.listing():
        reporter.note(
            f"{place} has changed since the training; pictures that were learnt may be in the test"
        )
    name, rows = choose_rows(classifier, store, data, split)
    result = evaluate_rows(
        classifier,
        store,
        rows,
        views=views,
        labels=labels,
        progress=lambda done: progress(done, len(rows)),
    )
    return Judgement(result, name, store)
