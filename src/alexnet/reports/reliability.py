"""Reliability diagrams (accuracy by predicted probability) as coordinates for SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.evaluation.calibration import (
    Calibration,
    ReliabilityBin,
    chance_calibration_error,
)
from alexnet.pages.page import percent

SIDE, LEFT, TOP, BOTTOM = 250, 42, 8, 30


@dataclass(frozen=True, kw_only=True)
class BinBar:
    """A bin: its bar of accuracy, and the mean probability as a line across it."""

    x: float
    width: float
    y: float
    height: float
    confidence_y: float
    opacity: float
    """The opacity of the bar, 0.25 to 1, which grows with the bin's number of images."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityDiagram:
    """Bars of accuracy over bins of probability; the diagonal is perfect calibration."""

    title: str
    error: float
    """The expected calibration error, 0 to 1."""
    chance: float
    """The error to be expected by chance from a calibrated network on as many images, 0 to 1."""
    num_images: int
    bars: list[BinBar]
    ticks: list[tuple[float, str]]
    """Positions and texts of the ticks along x; those along y follow from them."""
    points: dict[str, object]
    """The values under the pointer, as in `LineChart.points`."""
    width: int = LEFT + SIDE + 10
    height: int = TOP + SIDE + BOTTOM
    left: int = LEFT
    right: int = LEFT + SIDE
    top: int = TOP
    bottom: int = TOP + SIDE


def reliability_diagrams(calibration: Calibration) -> list[ReliabilityDiagram]:
    """One diagram; or two, before and after, if a temperature was fitted."""
    if calibration.error_before is None:
        title = "Accuracy by probability"
        return [_diagram(title, calibration.bins, calibration.error)]
    after = f"With temperature {calibration.temperature:.3g}"
    return [
        _diagram("Before", calibration.bins_before, calibration.error_before),
        _diagram(after, calibration.bins, calibration.error),
    ]


def _diagram(title: str, bins: Sequence[ReliabilityBin], error: float) -> ReliabilityDiagram:
    most = max((part.num_images for part in bins), default=1)
    accuracies = [part.num_correct / part.num_images for part in bins]
    bars = [
        BinBar(
            x=_x(part.low) + 0.75,
            width=_x(part.high) - _x(part.low) - 1.5,
            y=_y(accuracy),
            height=max(_y(0) - _y(accuracy), 0.8),
            confidence_y=_y(part.confidence),
            opacity=round(0.25 + 0.75 * (part.num_images / most) ** 0.5, 2),
        )
        for part, accuracy in zip(bins, accuracies, strict=True)
    ]
    lines = [
        {"name": "accuracy", "color": "blue", "ys": [bar.y for bar in bars],
         "texts": [percent(value) for value in accuracies]},
        {"name": "mean probability", "color": "orange", "ys": [bar.confidence_y for bar in bars],
         "texts": [percent(part.confidence) for part in bins]},
        {"name": "images", "color": "soft", "ys": [None] * len(bins),
         "texts": [f"{part.num_images:,}" for part in bins]},
    ]  # fmt: skip
    points: dict[str, object] = {
        "name": "probability",
        "xs": [bar.x + bar.width / 2 for bar in bars],
        "labels": [f"{100 * part.low:.0f} to {100 * part.high:.0f} %" for part in bins],
        "lines": lines,
    }
    ticks = [(_x(value / 4), f"{25 * value} %") for value in range(5)]
    return ReliabilityDiagram(
        title=title,
        error=error,
        chance=chance_calibration_error(bins),
        num_images=sum(part.num_images for part in bins),
        bars=bars,
        ticks=ticks,
        points=points,
    )


def _x(value: float) -> float:
    return round(LEFT + value * SIDE, 2)


def _y(value: float) -> float:
    return round(TOP + (1 - value) * SIDE, 2)
