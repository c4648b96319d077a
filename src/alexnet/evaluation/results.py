"""Every figure of a classifier on a set of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from alexnet.evaluation.metrics import (
    ClassScore,
    class_scores,
    confusion_matrix,
    most_confused,
    top_k_error,
)
from alexnet.inference.classifier import Crops


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The figures of a classifier on some pictures. Errors and shares from 0 to 1."""

    crops: Crops
    num_images: int
    top1_error: float
    top5_error: float
    """Top-k with k the number of classes where that is below 5."""
    loss: float
    """Mean of -ln p(right class)."""
    class_names: tuple[str, ...]
    confusion: np.ndarray
    """Counts [classes, classes]; row is the true class."""
    per_class: tuple[ClassScore, ...]
    most_confused: tuple[tuple[str, str, int], ...]
    top_losses: tuple[TopLoss, ...]

    @property
    def accuracy(self) -> float:
        """1 minus the top-1 error."""
        return 1 - self.top1_error


@dataclass(frozen=True, slots=True)
class TopLoss:
    """A picture that the classifier is wrong about."""

    index: int
    """In the store."""
    name: str
    label: str
    predicted: str
    probability: float
    """Of the right class."""


WorstPicker = Callable[[np.ndarray, np.ndarray, tuple[str, ...]], tuple[TopLoss, ...]]


def compute_metrics(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    crops: Crops,
    pick_worst: WorstPicker,
) -> Evaluation:
    """Every figure from probabilities [N, classes] and labels [N]."""
    ranked, truth = torch.from_numpy(probabilities), torch.from_numpy(labels)
    confusion = confusion_matrix(probabilities.argmax(1), labels, len(classes))
    own = probabilities[np.arange(len(labels)), labels]
    return Evaluation(
        crops=crops,
        num_images=len(labels),
        top1_error=top_k_error(ranked, truth, 1),
        top5_error=top_k_error(ranked, truth, min(5, len(classes))),
        loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
        class_names=classes,
        confusion=confusion,
        per_class=class_scores(confusion, classes),
        most_confused=tuple(most_confused(confusion, classes)),
        top_losses=pick_worst(probabilities, labels, classes),
    )
