"""How good a classifier is: errors, loss, per-class figures, confusion, worst pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from alexnet.data.load import open_data, report_rejected
from alexnet.data.splits import split_indices
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.evaluation.results import Evaluation, TopLoss, WorstPicker, compute_metrics
from alexnet.inference.classifier import Classifier, Crops
from alexnet.reporter import NullReporter, Reporter


def evaluate_images(
    classifier: Classifier,
    store: Store,
    rows: np.ndarray,
    *,
    crops: Crops = 1,
    num_worst: int = 16,
    labels: np.ndarray | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Evaluate on some rows of a store.

    Args:
        classifier: what is judged.
        store: prepared as the classifier's preprocessing says.
        rows: pictures to use.
        crops: 1 or 10.
        num_worst: mistakes to list, the least believed right class first.
        labels: int64 [N], one per picture of the store, as indices of the classifier's classes;
            the store's own unless given.
        progress: told how many pictures are done.

    Raises:
        DataError: no pictures.
    """
    if not len(rows):
        raise DataError(f"{store.info.name} has no pictures to evaluate on")
    chunks, done = [], 0
    for start in range(0, len(rows), 512):
        chunk = rows[start : start + 512]
        chunks.append(classifier.probabilities(store.images(chunk), crops))
        done += len(chunk)
        progress(done)
    truth = (store.labels if labels is None else labels)[rows]
    return compute_metrics(
        np.concatenate(chunks), truth, classifier.class_names, crops, _worst(store, rows, num_worst)
    )


def _worst(store: Store, rows: np.ndarray, limit: int) -> WorstPicker:
    def pick(
        probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
    ) -> tuple[TopLoss, ...]:
        own, predicted = probabilities[np.arange(len(labels)), labels], probabilities.argmax(1)
        wrong = [int(i) for i in np.argsort(own, kind="stable") if predicted[i] != labels[i]][
            :limit
        ]
        return tuple(
            TopLoss(
                int(rows[i]),
                store.info.names[rows[i]],
                classes[labels[i]],
                classes[predicted[i]],
                float(own[i]),
            )
            for i in wrong
        )

    return pick


def align_labels(classifier: Classifier, store: Store) -> np.ndarray:
    """The store's labels as indices of the model's classes, matched by name: int64 [N].

    Raises:
        DataError: the data has a class that the model does not know.
    """
    known = {name: i for i, name in enumerate(classifier.class_names)}
    if strange := [name for name in store.info.class_names if name not in known]:
        first = ", ".join(classifier.class_names[:5])
        raise DataError(
            f"the model does not know the class {strange[0]!r} of {store.info.name}; "
            f"its {len(known)} classes are {first}{' ..' if len(known) > 5 else ''}"
        )
    own: np.ndarray = np.array([known[name] for name in store.info.class_names], dtype=np.int64)
    return np.asarray(own[store.labels])


SplitName: TypeAlias = Literal["auto", "test", "val", "train", "all"]


def is_training_data(classifier: Classifier, store: Store, data: str) -> bool:
    """Whether a store holds what the classifier was trained on, by place or by content."""
    trained = classifier.info.recipe.data
    is_same_place = data in ("", trained) or str(Path(data).expanduser().resolve()) == trained
    return is_same_place or classifier.info.manifest_hash == store.manifest_hash()


def select_split(
    classifier: Classifier,
    store: Store,
    data: str,
    split: SplitName,
) -> tuple[str, np.ndarray]:
    """The name of a split and its rows, drawn as they were for the classifier's training.

    Args:
        classifier: knows what it was trained on.
        store: the pictures.
        data: what the store was opened from; "" for the classifier's own training data.
        split: `auto` is the test split where there is one, else val; and all pictures of other
            data that has no splits.

    Raises:
        DataError: that split has no pictures.
    """
    recipe = classifier.info.recipe
    is_own = is_training_data(classifier, store, data)
    if split == "all" or (split == "auto" and not is_own and not any(store.info.splits)):
        return "all", np.flatnonzero(store.usable)
    splits = split_indices(store, recipe.data_options, recipe.seed)
    name = split
    if name == "auto":
        name = "test" if len(splits.test) else "val"
    return name, splits.indices(name)


@dataclass(frozen=True, eq=False)
class Judgement:
    """An evaluation and what it was made on."""

    evaluation: Evaluation
    split: str
    """Its name: "test", "val", "train" or "all"."""
    store: Store


def judge(
    classifier: Classifier,
    data: str,
    data_root: str,
    split: SplitName,
    crops: Crops,
    reporter: Reporter,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Judgement:
    """As `evaluate`, with the split and the store; `progress` is told (pictures done, in all)."""
    recipe, rule = classifier.info.recipe, classifier.info.preprocessing
    place, root = data or recipe.data, data_root or recipe.data_root
    if not place:
        raise UsageError("the model was imported and names no data set; say which with --data")
    store = open_data(place, root, rule.resize, rule.resize_size, reporter)
    report_rejected(store, 1.0, reporter)
    labels = align_labels(classifier, store)
    is_own = is_training_data(classifier, store, data)
    if is_own and classifier.info.manifest_hash != store.manifest_hash():
        reporter.note(
            f"{place} has changed since the training; pictures that were learnt may be in the test"
        )
    name, rows = select_split(classifier, store, data, split)
    result = evaluate_images(
        classifier,
        store,
        rows,
        crops=crops,
        labels=labels,
        progress=lambda done: progress(done, len(rows)),
    )
    return Judgement(result, name, store)


def evaluate(
    classifier: Classifier,
    data: str = "",
    *,
    data_root: str = "",
    split: SplitName = "auto",
    crops: Crops = 1,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Errors, loss, per-class figures, confusion and worst pictures of a classifier.

    Args:
        classifier: what `alexnet.load` gives.
        data: a data set's name, a folder or a CSV; what it was trained on unless given.
        data_root: folder searched for data sets first.
        split: `auto` is the test split where there is one, else val; and all pictures of other
            data that has no splits.
        crops: 1, or 10 for the paper's ten views.
        reporter: told what happens.

    Raises:
        UsageError: no data is given, and the classifier was imported and knows none.
        DataError: the data cannot be used, or has a class that the classifier does not know.
    """
    return judge(classifier, data, data_root, split, crops, reporter or NullReporter()).evaluation
