"""`alexnet.evaluate`: a classifier on a data set, from what people type."""

from __future__ import annotations

from alexnet.classifier import Classifier, Views
from alexnet.evaluation import Evaluation, SplitName, choose_rows, labels_for
from alexnet.evaluation import evaluate as evaluate_rows
from alexnet.job import check_refusals, open_data
from alexnet.records import Reporter, Silent


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
        DataError: the data cannot be used, or has a class that the classifier does not know.
    """
    reporter = reporter or Silent()
    recipe, rule = classifier.info.recipe, classifier.info.preprocessing
    root = data_root or recipe.data_root
    store = open_data(data or recipe.data, root, rule.resize, rule.store_pixels, reporter)
    check_refusals(store, 1.0, reporter)
    labels = labels_for(classifier, store)
    _, rows = choose_rows(classifier, store, data, split)
    return evaluate_rows(classifier, store, rows, views=views, labels=labels)
