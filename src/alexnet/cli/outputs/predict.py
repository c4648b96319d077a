"""What `predict --json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.inference.predictions import AnsweringNetwork, ClassProbability, Prediction


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePrediction:
    """The most probable classes of one image, or why it could not be read."""

    image: str
    """The file's path, address, or "image 3" for the image at index 3 that is no file."""
    label: str | None
    """The most probable class; null if it is unsure or the image could not be read."""
    is_unsure: bool
    """Whether the highest probability is below --min-probability."""
    top_classes: tuple[ClassProbability, ...]
    """The --top most probable classes, best first; empty if the image could not be read."""
    error: str | None
    """Why the image could not be read; null if it was. With one, the exit code is 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictOutput:
    """The most probable classes of images."""

    network: AnsweringNetwork
    predictions: tuple[ImagePrediction, ...]
    """The prediction for each image, in the order of the command line."""
    skipped: dict[str, int]
    """Number of files in folders that were skipped, by reason."""


def image_prediction(prediction: Prediction) -> ImagePrediction:
    """Make the output of a prediction."""
    return ImagePrediction(
        image=prediction.image,
        label=prediction.label,
        is_unsure=prediction.is_unsure,
        top_classes=prediction.top_classes,
        error=prediction.error or None,
    )
