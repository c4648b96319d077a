"""The sizes of the classes as stacked columns, as coordinates for SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.io.text import printable
from alexnet.reports.data_facts import DataFacts
from alexnet.reports.line_chart import LEFT, RIGHT, TOP, WIDTH, linear_ticks

HEIGHT = 190
COLORS = {"train": "blue", "val": "green", "test": "orange"}
NAMES = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class ClassSizeChart:
    """A stacked column for each class, in the order of the classes."""

    legend: list[tuple[str, str]]
    """Names of the splits and their colors."""
    paths: list[tuple[str, str]]
    """For each split its color and all its columns as one SVG path."""
    y_ticks: list[tuple[float, str]]
    points: dict[str, object]
    """The values under the pointer, as in `LineChart.points`."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def class_size_chart(facts: DataFacts | None) -> ClassSizeChart | None:
    """The chart of class sizes; None if they are not known."""
    if facts is None or not facts.classes:
        return None
    classes, splits = facts.classes, list(facts.splits)
    ticks = linear_ticks(0, max(one.total for one in classes), 4)
    bottom, step = HEIGHT - 12, (WIDTH - RIGHT - LEFT) / len(classes)

    def y(value: float) -> float:
        return round(bottom - value / ticks[-1] * (bottom - TOP), 2)

    width = step * 0.8
    xs = [round(LEFT + step * (i + 0.1), 2) for i in range(len(classes))]
    paths = []
    for number, split in enumerate(splits):
        bases = [sum(one.counts[:number]) for one in classes]
        tops = [base + one.counts[number] for base, one in zip(bases, classes, strict=True)]
        parts = (
            f"M{x:g} {y(base):g}h{width:.2f}V{y(top):g}h-{width:.2f}z"
            for x, base, top in zip(xs, bases, tops, strict=True)
            if top > base
        )
        paths.append((COLORS[split], "".join(parts)))
    return ClassSizeChart(
        legend=[(NAMES[split], COLORS[split]) for split in splits],
        paths=paths,
        y_ticks=[(y(value), f"{value:,.0f}") for value in ticks],
        points={
            "name": "",
            "xs": [round(x + width / 2, 2) for x in xs],
            "labels": [printable(one.name) for one in classes],
            "lines": _lines(facts, splits),
        },
    )


def _lines(facts: DataFacts, splits: Sequence[str]) -> list[dict[str, object]]:
    """The number of images in each class by split, which the script shows under the pointer."""
    return [
        {
            "name": NAMES[split],
            "color": COLORS[split],
            "ys": [None] * len(facts.classes),
            "texts": [f"{one.counts[number]:,}" for one in facts.classes],
        }
        for number, split in enumerate(splits)
    ]
