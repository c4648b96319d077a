"""What `explain --json` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.inference.predictions import ClassProbability

if TYPE_CHECKING:
    from alexnet.explain.explanation import Explanation


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowOutput:
    """The part of an upright image that the network gets, in fractions of its width and height."""

    left: float
    """Below 0 where the image is padded."""
    top: float
    right: float
    """Above 1 where the image is padded."""
    bottom: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MapOutput:
    """The range of a map; the map itself is in the sheet, and in Python in `Explanation.maps`."""

    method: str
    """grad_cam, occlusion, integrated_gradients or guided_backprop."""
    min: float
    max: float
    peak: tuple[int, int]
    """Row and column of the highest value, in pixels of the network's input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelsOutput:
    """The strongest channels of a convolution."""

    layer: str
    indices: tuple[int, ...]
    """Counted from 0, strongest first."""
    peaks: tuple[float, ...]
    """The highest output of each channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestOutput:
    """An image of the training data that is near to the explained one."""

    image: str
    """Its name in the data set."""
    label: str
    distance: float
    """Euclidean distance of the activations of the last hidden layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplanationOutput:
    """The explanation of the prediction for an image."""

    label: str
    """The class that is explained."""
    probability: float
    """Predicted probability of that class."""
    top_classes: tuple[ClassProbability, ...]
    """The most probable classes, best first."""
    width: int
    """Width of the upright image in pixels."""
    height: int
    """Height of the upright image in pixels."""
    window: WindowOutput
    """The part of the image that the network gets."""
    layer: str | None
    """The layer of Grad-CAM; null if the network has no convolution."""
    maps: tuple[MapOutput, ...]
    """The map of each method."""
    occlusion_window: int
    """Side of the square that covers a part of the image, in pixels of the network's input."""
    integration_gap: float | None
    """By how much integrated gradients add up to more than the difference of the logit to that of
    a gray image; null without them."""
    channels: tuple[ChannelsOutput, ...]
    """The strongest channels of every convolution."""
    neighbors: tuple[NearestOutput, ...]
    """The nearest training images; empty if they were not searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedImage:
    """One image of the command line."""

    image: str
    """The file's path or address."""
    sheet: str | None
    """The file of the figure; null if the image could not be read."""
    explanation: ExplanationOutput | None
    """The explanation; null if the image could not be read."""
    error: str | None
    """Why the image could not be read; null if it was. With one, the exit code is 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainOutput:
    """The explanations of the predictions for images."""

    model: str
    """The model as named on the command line."""
    images: tuple[ExplainedImage, ...]
    """The images, in the order of the command line."""


def explanation_output(e: Explanation) -> ExplanationOutput:
    """Make the output of an explanation."""
    return ExplanationOutput(
        label=e.class_name,
        probability=e.probability,
        top_classes=e.top_classes,
        width=e.size[0],
        height=e.size[1],
        window=WindowOutput(**e.window._asdict()),
        layer=e.layer or None,
        maps=tuple(
            MapOutput(
                method=method,
                min=float(values.min()),
                max=float(values.max()),
                peak=_peak(int(values.argmax()), values.shape[1]),
            )
            for method, values in e.maps.items()
        ),
        occlusion_window=e.occlusion_window,
        integration_gap=None if math.isnan(e.integration_gap) else e.integration_gap,
        channels=tuple(
            ChannelsOutput(layer=c.layer, indices=c.indices, peaks=c.peaks) for c in e.channels
        ),
        neighbors=tuple(
            NearestOutput(
                image=one.neighbor.image, label=one.neighbor.label, distance=one.neighbor.distance
            )
            for one in e.neighbors
        ),
    )


def _peak(index: int, width: int) -> tuple[int, int]:
    return index // width, index % width
