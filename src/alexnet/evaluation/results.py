"""`Evaluation`: every metric of a classifier on a set of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import torch

from alexnet.data.store.store import Store
from alexnet.errors import ModelFileError
from alexnet.evaluation.calibration import Calibration, calibration
from alexnet.evaluation.intervals import ConfidenceInterval, error_text, wilson_interval
from alexnet.evaluation.metrics import (
    ClassScore,
    class_scores,
    confusion_matrix,
    most_confused,
    top_k_error,
)
from alexnet.inference.predictions import AnsweringNetwork
from alexnet.inference.predictor import Crops

MAX_TOP_LOSSES = 100_000
"""Images of an evaluation that are listed; of more, those with the highest losses."""
MIN_PROBABILITY = 1e-12
"""Smallest probability of a label in a loss, which is therefore at most 27.6."""


@dataclass(frozen=True, slots=True, eq=False)
class TopLoss:
    """An evaluated image, right or wrong, with its label, its prediction and its loss."""

    index: int
    """Index in the store."""
    name: str
    label: str
    predicted: str
    probability: float
    """Probability of the label."""
    predicted_probability: float
    """Probability of the predicted class."""
    is_correct: bool
    """Whether the predicted class is the label."""
    image: np.ndarray | None = field(default=None, repr=False)
    """The stored pixels, uint8 [S, S, 3]; only the first few of an evaluation have them."""

    @property
    def loss(self) -> float:
        """-ln p(label), from 0 to 27.6."""
        return math.log(1 / max(self.probability, MIN_PROBABILITY))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of a classifier on some images. Errors are fractions from 0 to 1."""

    data: str
    """The data set's name."""
    split: str
    """One of "train", "val", "test" or "all"."""
    crops: Crops
    num_images: int
    top1_error: float
    top5_error: float
    """Top-k error with k = 5, or the number of classes if that is smaller."""
    loss: float
    """Mean of -ln p(label)."""
    class_names: tuple[str, ...]
    confusion: np.ndarray
    """Counts [num_classes, num_classes]; rows are labels, columns predictions."""
    per_class: tuple[ClassScore, ...]
    most_confused: tuple[tuple[str, str, int], ...]
    """(label, predicted, count), most frequent first."""
    top_losses: tuple[TopLoss, ...]
    """All images, right or wrong, highest loss first; of more than MAX_TOP_LOSSES the first."""
    calibration: Calibration
    """How probabilities compare with the fraction of correct predictions."""
    num_trained_on: int = 0
    """Number of the images that the model was trained on, as far as is known."""
    network: AnsweringNetwork | None = None
    """What has computed the probabilities; None where that is not known."""

    @property
    def accuracy(self) -> float:
        """1 minus the top-1 error."""
        return 1 - self.top1_error

    @property
    def top1_text(self) -> str:
        """The top-1 error with its number of images: "12.50 % (n = 1,360)"."""
        return error_text(self.top1_error, self.num_images)

    @property
    def top1_interval(self) -> ConfidenceInterval:
        """The 95 % confidence interval of the top-1 error."""
        return wilson_interval(round(self.top1_error * self.num_images), self.num_images)

    @property
    def top5_interval(self) -> ConfidenceInterval:
        """The 95 % confidence interval of the top-5 error."""
        return wilson_interval(round(self.top5_error * self.num_images), self.num_images)

    @property
    def classes_without_images(self) -> tuple[str, ...]:
        """The classes of which no image was evaluated."""
        return tuple(score.name for score in self.per_class if not score.num_images)

    def __repr__(self) -> str:
        crops = " by ten crops" if self.crops == 10 else ""
        error = f"{self.split} error {self.top1_text}{crops}"
        return f"Evaluation({self.data!r}, {error}, {len(self.class_names):,} classes)"

    def _repr_html_(self) -> str:
        """Errors and confusion matrix, for notebooks."""
        from alexnet.evaluation.html import evaluation_html

        return evaluation_html(self)


class NonfiniteOutputError(ModelFileError):
    """The network's outputs for some images are NaN or infinite."""


def compute_metrics(
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    *,
    data: str = "",
    split: str = "",
    crops: Crops = 1,
    temperature: float = 1.0,
    top_losses: tuple[TopLoss, ...] = (),
) -> Evaluation:
    """Every metric from probabilities [N, num_classes] and labels int64 [N].

    Raises:
        NonfiniteOutputError: a probability is NaN.
    """
    if broken := int(np.isnan(probabilities.max(1)).sum()):
        raise NonfiniteOutputError(
            f"the network's outputs for {broken} of {len(labels)} images are not finite; "
            "its weights are too large"
        )
    ranked, truth = torch.from_numpy(probabilities), torch.from_numpy(labels)
    confusion = confusion_matrix(probabilities.argmax(1), labels, len(class_names))
    own = probabilities[np.arange(len(labels)), labels]
    return Evaluation(
        data=data,
        split=split,
        crops=crops,
        num_images=len(labels),
        top1_error=top_k_error(ranked, truth, 1),
        top5_error=top_k_error(ranked, truth, min(5, len(class_names))),
        loss=float(-np.log(np.maximum(own, MIN_PROBABILITY)).mean()),
        class_names=class_names,
        confusion=confusion,
        per_class=class_scores(confusion, class_names),
        most_confused=tuple(most_confused(confusion, class_names)),
        top_losses=top_losses,
        calibration=calibration(probabilities, labels, temperature, is_average=crops != 1),
    )


def find_top_losses(
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    store: Store,
    indices: np.ndarray,
    num_images: int,
) -> tuple[TopLoss, ...]:
    """The images by their loss, highest first; at most MAX_TOP_LOSSES.

    Args:
        probabilities: [N, num_classes].
        labels: int64 [N].
        class_names: in the order of the columns.
        store: the store of the images.
        indices: indices of the N images in the store.
        num_images: number of images, highest loss first, that get their pixels.
    """
    own, predicted = probabilities[np.arange(len(labels)), labels], probabilities.argmax(1)
    order = np.argsort(own, kind="stable")[:MAX_TOP_LOSSES]
    images = store.images(indices[order[:num_images]])
    return tuple(
        TopLoss(
            index=int(indices[i]),
            name=store.info.names[indices[i]],
            label=class_names[labels[i]],
            predicted=class_names[predicted[i]],
            probability=float(own[i]),
            predicted_probability=float(probabilities[i, predicted[i]]),
            is_correct=bool(predicted[i] == labels[i]),
            image=image,
        )
        for i, image in zip_longest(order, images)
    )
