"""The page's confusion matrix, its most confused pairs, and its table of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.evaluation.shown_classes import choose_classes
from alexnet.evaluation.summary import ClassSummary, EvaluationSummary
from alexnet.reports.data_facts import ClassCounts

MAX_PAIRS = 200
"""Maximum number of confused pairs in the list."""
MAX_PRINTED = 40
"""Maximum number of classes in the table on paper."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A nonzero cell of the confusion matrix."""

    count: int
    fraction: float
    """Fraction of the label's images, 0 to 1."""
    shade: float
    """Intensity of the cell's color, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """A row of the matrix: the cells of a label for each shown class; None for a zero."""

    label: int
    num_images: int
    cells: list[Cell | None]


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix:
    """The shown part of a confusion matrix, and the most frequent confusions."""

    shown: list[int]
    """Indices of the shown classes."""
    note: str
    """A note on which classes are shown; "" if all are."""
    rows: list[MatrixRow]
    pairs: list[tuple[int, int, int]]
    """Label, prediction and count of the most frequent mistakes, most frequent first."""
    num_pairs: int
    """Number of all confused pairs."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """A class in the table of the classes."""

    index: int
    score: ClassSummary
    num_train: int | None
    """Number of training images; None if the data is not on this machine."""
    worst: tuple[int, int] | None
    """The class most often predicted by mistake, and how often; None if there is none."""
    is_printed: bool
    """Whether the row is also printed on paper, which has room for MAX_PRINTED rows."""


def counts_of(evaluation: EvaluationSummary) -> np.ndarray:
    """The whole matrix: int64 [num_classes, num_classes]; rows are labels."""
    counts = np.zeros((len(evaluation.class_names),) * 2, np.int64)
    for label, predicted, count in evaluation.confusion_pairs:
        counts[label, predicted] = count
    return counts


def confusion_of(evaluation: EvaluationSummary) -> ConfusionMatrix:
    """The confusion matrix to show; of more than 30 classes, those that are confused most."""
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
    """The rows of the table of classes, in the order of the classes.

    Args:
        evaluation: the evaluation with the scores of the classes.
        classes: the sizes of the classes, with training images first; empty if the data is not on
            this machine.
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
    """The indices of the classes that are printed: all, or those with the lowest recall."""
    known = [i for i, score in enumerate(scores) if score.recall is not None]
    if len(scores) <= MAX_PRINTED:
        return set(range(len(scores)))
    return set(sorted(known, key=lambda i: scores[i].recall or 0.0)[:MAX_PRINTED])
