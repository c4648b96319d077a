"""How good a classifier is: errors, loss, per-class figures, confusion, worst pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch

from alexnet.data.splits import split_rows
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.metrics import (
    ClassScore,
    class_scores,
    confusion_matrix,
    most_confused,
    top_k_error,
)
from alexnet.inference.classifier import Classifier, Views


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The figures of a classifier on some pictures. Errors and shares from 0 to 1."""

    views: Views
    pictures: int
    top1_error: float
    top5_error: float
    """Top-k with k the number of classes where that is below 5."""
    loss: float
    """Mean of -ln p(right class)."""
    classes: tuple[str, ...]
    confusion: np.ndarray
    """Counts [classes, classes]; row is the true class."""
    per_class: tuple[ClassScore, ...]
    most_confused: tuple[tuple[str, str, int], ...]
    worst: tuple[Mistake, ...]

    @property
    def accuracy(self) -> float:
        """1 minus the top-1 error."""
        return 1 - self.top1_error


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that the classifier is wrong about."""

    row: int
    """In the store."""
    name: str
    label: str
    predicted: str
    probability: float
    """Of the right class."""


def evaluate(
    classifier: Classifier,
    store: Store,
    rows: np.ndarray,
    *,
    views: Views = 1,
    num_worst: int = 16,
    labels: np.ndarray | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Evaluate on some rows of a store.

    Args:
        classifier: what is judged.
        store: prepared as the classifier's preprocessing says.
        rows: pictures to use.
        views: 1 or 10.
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
        chunks.append(classifier.probabilities(store.pictures(chunk), views))
        done += len(chunk)
        progress(done)
    truth = (store.labels if labels is None else labels)[rows]
    return summarise(
        np.concatenate(chunks), truth, classifier.classes, views, _worst(store, rows, num_worst)
    )


WorstPicker = Callable[[np.ndarray, np.ndarray, tuple[str, ...]], tuple[Mistake, ...]]


def summarise(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    views: Views,
    pick_worst: WorstPicker,
) -> Evaluation:
    """Every figure from probabilities [N, classes] and labels [N]."""
    ranked, truth = torch.from_numpy(probabilities), torch.from_numpy(labels)
    confusion = confusion_matrix(probabilities.argmax(1), labels, len(classes))
    own = probabilities[np.arange(len(labels)), labels]
    return Evaluation(
        views=views,
        pictures=len(labels),
        top1_error=top_k_error(ranked, truth, 1),
        top5_error=top_k_error(ranked, truth, min(5, len(classes))),
        loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
        classes=classes,
        confusion=confusion,
        per_class=class_scores(confusion, classes),
        most_confused=tuple(most_confused(confusion, classes)),
        worst=pick_worst(probabilities, labels, classes),
    )


def _worst(store: Store, rows: np.ndarray, limit: int) -> WorstPicker:
    def pick(
        probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
    ) -> tuple[Mistake, ...]:
        own, predicted = probabilities[np.arange(len(labels)), labels], probabilities.argmax(1)
        wrong = [int(i) for i in np.argsort(own, kind="stable") if predicted[i] != labels[i]][
            :limit
        ]
        return tuple(
            Mistake(
                int(rows[i]),
                store.info.names[rows[i]],
                classes[labels[i]],
                classes[predicted[i]],
                float(own[i]),
            )
            for i in wrong
        )

    return pick


def labels_for(classifier: Classifier, store: Store) -> np.ndarray:
    """The store's labels as indices of the model's classes, matched by name: int64 [N].

    Raises:
        DataError: the data has a class that the model does not know.
    """
    known = {name: i for i, name in enumerate(classifier.classes)}
    if strange := [name for name in store.info.classes if name not in known]:
        first = ", ".join(classifier.classes[:5])
        raise DataError(
            f"the model does not know the class {strange[0]!r} of {store.info.name}; "
            f"its {len(known)} classes are {first}{' ..' if len(known) > 5 else ''}"
        )
    own: np.ndarray = np.array([known[name] for name in store.info.classes], dtype=np.int64)
    return np.asarray(own[store.labels])


SplitName: TypeAlias = Literal["auto", "test", "val", "train", "all"]


def is_training_data(classifier: Classifier, store: Store, data: str) -> bool:
    """Whether a store holds what the classifier was trained on, by place or by content."""
    trained = classifier.info.recipe.data
    is_same_place = data in ("", trained) or str(Path(data).expanduser().resolve()) == trained
    return is_same_place or classifier.info.listing == store.listing()


def choose_rows(
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
    splits = split_rows(store, recipe.pictures, recipe.seed)
    name = split
    if name == "auto":
        name = "test" if len(splits.test) else "val"
    return name, splits.rows(name)
