"""The confusion matrix of a page, the most confused pairs, and the table of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.evaluation.shown_classes import choose_classes
from alexnet.evaluation.summary import ClassSummary, EvaluationSummary
from alexnet.reports.data_facts import ClassCounts

MAX_PAIRS = 200
"""Confused pairs that are listed."""
MAX_PRINTED = 40
"""Classes that are printed."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the matrix that has images."""

    count: int
    fraction: float
    """Of the label's images."""
    shade: float
    """0 to 1, for its color."""


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """A label: its cells in the order of the shown classes; None where there is no image."""

    label: int
    num_images: int
    cells: list[Cell | None]


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix:
    """The shown part of a confusion matrix, and what is confused most often."""

    shown: list[int]
    """Indices of classes."""
    note: str
    """Which they are; "" for all of them."""
    rows: list[MatrixRow]
    pairs: list[tuple[int, int, int]]
    """Label, prediction and count of the most frequent mistakes, most frequent first."""
    num_pairs: int
    """Of all pairs that are confused."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """A class in the table of the classes."""

    index: int
    score: ClassSummary
    num_train: int | None
    """None where the data is not there."""
    worst: tuple[int, int] | None
    """What it is predicted as most often by mistake, and how often."""
    is_printed: bool
    """Whether it is also on paper, where a table of a thousand classes has no place."""


def counts_of(evaluation: EvaluationSummary) -> np.ndarray:
    """The whole matrix: int64 [num_classes, num_classes]; rows are labels."""
    counts = np.zeros((len(evaluation.class_names),) * 2, np.int64)
    for label, predicted, count in evaluation.confusion_pairs:
        counts[label, predicted] = count
    return counts


def confusion_of(evaluation: EvaluationSummary) -> ConfusionMatrix:
    """The matrix of an evaluation; of more than 30 classes those confused most with each other."""
    counts = counts_of(evaluation)
    indices, note = choose_classes(counts)
    totals = counts.sum(1)
    shares = counts[np.ix_(indices, indices)] / np.maximum(totals[indices], 1)[:, None]
    highest = max(float((shares - np.diag(np.diag(shares))).max(initial=0)), 0.01)
    rows = [
        MatrixRow(
            label=int(label),
            num_images=int(totals[label]),
            cells=[
                _cell(int(counts[label, other]), float(share), 1.0 if label == other else highest)
                for other, share in zip(indices, line, strict=True)
            ],
        )
        for label, line in zip(indices, shares, strict=True)
    ]
    wrong = [(int(t), int(p), int(counts[t, p])) for t, p in np.argwhere(counts) if t != p]
    wrong.sort(key=lambda pair: -pair[2])
    return ConfusionMatrix(
        shown=indices.tolist(),
        note=note,
        rows=rows,
        pairs=wrong[:MAX_PAIRS],
        num_pairs=len(wrong),
    )


def _cell(count: int, share: float, highest: float) -> Cell | None:
    return Cell(count=count, fraction=share, shade=round(share / highest, 2)) if count else None


def class_rows(evaluation: EvaluationSummary, classes: Sequence[ClassCounts]) -> list[ClassRow]:
    """The classes in their order.

    Args:
        evaluation: has their scores.
        classes: their sizes, training images first; empty where the data is not there.
    """
    counts = counts_of(evaluation)
    np.fill_diagonal(counts, 0)
    worst, most = counts.argmax(1).tolist(), counts.max(1, initial=0).tolist()
    sizes = {one.name: one.counts[0] for one in classes}
    printed = _lowest_recall(evaluation.per_class)
    return [
        ClassRow(
            index=i,
            score=score,
            num_train=sizes.get(score.name),
            worst=(worst[i], most[i]) if most[i] else None,
            is_printed=i in printed,
        )
        for i, score in enumerate(evaluation.per_class)
    ]


def _lowest_recall(scores: Sequence[ClassSummary]) -> set[int]:
    """The classes that are printed: all, or those with the lowest recall."""
    known = [i for i, score in enumerate(scores) if score.recall is not None]
    if len(scores) <= MAX_PRINTED:
        return set(range(len(scores)))
    return set(sorted(known, key=lambda i: scores[i].recall or 0.0)[:MAX_PRINTED])
