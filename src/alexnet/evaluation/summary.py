"""An evaluation as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from alexnet.evaluation.advice import evaluation_advice
from alexnet.evaluation.calibration import Calibration
from alexnet.evaluation.intervals import ConfidenceInterval
from alexnet.evaluation.results import Evaluation, TopLoss
from alexnet.inference.predictions import AnsweringNetwork

MAX_CLASSES = 100
"""Number of classes up to which the whole matrix is written: 1,000 would have a million counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSummary:
    """The scores of one class; fractions from 0 to 1, null where they are fractions of nothing."""

    name: str
    precision: float | None
    """Fraction of the images predicted as this class that are of it."""
    recall: float | None
    """Fraction of the images of this class that are predicted as it."""
    f1: float | None
    num_images: int
    """Number of images of this class."""
    recall_interval: ConfidenceInterval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusedPair:
    """A frequent mistake."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TopLossSummary:
    """An image with a high loss; its prediction is right where it is the label."""

    index: int
    """Index in the data set."""
    name: str
    label: str
    predicted: str
    probability: float
    """Probability of the label."""
    predicted_probability: float
    """Probability of the predicted class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSummary:
    """The metrics of a classifier on some images; errors are fractions from 0 to 1."""

    data: str
    """The data set's name."""
    split: str
    """One of train, val, test or all."""
    num_images: int
    crops: Literal[1, 10]
    top1_error: float
    top1_error_interval: ConfidenceInterval
    top5_error: float
    top5_error_interval: ConfidenceInterval
    accuracy: float
    loss: float
    """Mean of -ln p(label)."""
    advice: tuple[str, ...]
    """What the evaluation leaves uncertain, and what to try: sentences."""
    calibration: Calibration
    class_names: tuple[str, ...]
    classes_without_images: tuple[str, ...]
    per_class: tuple[ClassSummary, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts; rows are labels, columns predictions; empty with more than 100 classes."""
    confusion_pairs: tuple[tuple[int, int, int], ...]
    """Label, prediction and count of every pair that occurs; classes by their index."""
    most_confused: tuple[ConfusedPair, ...]
    """Most frequent first."""
    top_losses: tuple[TopLossSummary, ...]
    """The images that are plotted, right or wrong: lowest probability of the label first."""
    network: AnsweringNetwork | None = None
    """What has computed the probabilities; null in files of earlier versions."""


def summarize_evaluation(evaluation: Evaluation) -> EvaluationSummary:
    """An evaluation in the form in which it is written as JSON."""
    counts = evaluation.confusion
    rows = counts.tolist() if len(counts) <= MAX_CLASSES else []
    return EvaluationSummary(
        data=evaluation.data,
        split=evaluation.split,
        num_images=evaluation.num_images,
        crops=evaluation.crops,
        top1_error=evaluation.top1_error,
        top1_error_interval=evaluation.top1_interval,
        top5_error=evaluation.top5_error,
        top5_error_interval=evaluation.top5_interval,
        accuracy=evaluation.accuracy,
        loss=evaluation.loss,
        advice=tuple(evaluation_advice(evaluation)),
        calibration=evaluation.calibration,
        class_names=evaluation.class_names,
        classes_without_images=evaluation.classes_without_images,
        per_class=_class_summaries(evaluation),
        confusion=tuple(map(tuple, rows)),
        confusion_pairs=tuple((int(t), int(p), int(counts[t, p])) for t, p in np.argwhere(counts)),
        most_confused=tuple(
            ConfusedPair(label=label, predicted=predicted, count=count)
            for label, predicted, count in evaluation.most_confused
        ),
        top_losses=tuple(map(_top_loss, (x for x in evaluation.top_losses if x.image is not None))),
        network=evaluation.network,
    )


def _class_summaries(evaluation: Evaluation) -> tuple[ClassSummary, ...]:
    return tuple(
        ClassSummary(
            name=score.name,
            precision=score.precision,
            recall=score.recall,
            f1=score.f1,
            num_images=score.num_images,
            recall_interval=score.recall_interval,
        )
        for score in evaluation.per_class
    )


def _top_loss(loss: TopLoss) -> TopLossSummary:
    return TopLossSummary(
        index=loss.index,
        name=loss.name,
        label=loss.label,
        predicted=loss.predicted,
        probability=loss.probability,
        predicted_probability=loss.predicted_probability,
    )
