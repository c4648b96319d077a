"""The map of a split that `alexnet explain RUN --map` wrote, as marks of an SVG."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.errors import AlexNetError, DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_CSV_BYTES
from alexnet.io.text import error_text, printable, shell_command
from alexnet.reports.line_chart import COLORS
from alexnet.reports.stored_run import StoredRun

WIDTH, HEIGHT, MARGIN = 640, 420, 12
SHAPES = (
    "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "M-2.9-2.9h5.8v5.8h-5.8z",
    "M0-3.8l3.6 6.6h-7.2z",
)
"""SVG paths of a circle, a square and a triangle, centered on 0."""
MAX_POINTS = 1_500
MAX_NAME = 60
"""Maximum characters of a name under the pointer."""


class MapRow(NamedTuple):
    """A row of the CSV file: an image and its position."""

    image: str
    label: str
    predicted: str
    is_wrong: bool | None
    """Whether the prediction is wrong; None if the model has other classes than the data."""
    x: float
    y: float
    data: str = ""
    split: str = ""


@dataclass(frozen=True, kw_only=True)
class MapMark:
    """The mark of an image."""

    x: float
    y: float
    color: str
    shape: str
    is_wrong: bool
    text: str
    """The image's name, its label, and its predicted class unless that is right."""


@dataclass(frozen=True, kw_only=True)
class MapChart:
    """A map as SVG marks, with a legend."""

    method: str
    data: str
    """The data set's name, which need not be that of the run."""
    split: str
    num_images: int
    num_wrong: int | None
    """Number of misclassified images; None if that is not known."""
    marks: list[MapMark]
    """The marks, those of misclassified images last, so that none covers them."""
    legend: list[tuple[str, str, str]]
    """Name, color and shape of each class; empty if there are more classes than combinations."""
    width: int = WIDTH
    height: int = HEIGHT


def stored_map(run: StoredRun) -> tuple[MapChart | None, str]:
    """The newest map in the folder of a run, and "" or the reason why there is none."""
    command = shell_command(["alexnet", "explain", str(run.path), "--map"])
    again = f"{command}, then {shell_command(['alexnet', 'report', str(run.path)])}"
    files = sorted((run.path / "explain").glob("map-*.csv"), key=_changed_at)
    if not files:
        return None, f"{again} makes it"
    if _changed_at(files[-1]) < _changed_at(run.path / "model.safetensors"):
        return None, f"the map is older than the model; {again} makes it anew"
    try:
        method = files[-1].stem.removeprefix("map-").upper()
        return map_chart(read_map(files[-1]), method), ""
    except (AlexNetError, OSError) as error:
        return None, f"{error_text(error)}; {again} makes it anew"


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def read_map(path: Path) -> list[MapRow]:
    """Read the CSV file of a map that `explain --map` wrote.

    Raises:
        OSError: it cannot be read.
        DataError: it is another table, or has no points or some that are not finite.
    """
    text = read_regular(path, MAX_CSV_BYTES).decode("utf-8", "replace")
    try:
        rows = [_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path.name} is not a map of explain --map") from error
    if not rows or not all(math.isfinite(row.x) and math.isfinite(row.y) for row in rows):
        raise DataError(f"{path.name} has no points, or some that are not finite")
    return rows


def _row(row: dict[str, str]) -> MapRow:
    is_wrong = {"0": True, "1": False, "": None}[row["right"]]
    x, y = float(row["x"]), float(row["y"])
    data, split = row.get("data", ""), row.get("split", "")  # older files do not tell these
    return MapRow(row["image"], row["label"], row["predicted"], is_wrong, x, y, data, split)


def map_chart(rows: Sequence[MapRow], method: str) -> MapChart:
    """Make the chart of a map; of more than MAX_POINTS images a random sample is drawn.

    Each class has its own combination of color and shape. If there are more classes than
    combinations, blue marks right predictions and orange wrong ones.
    """
    names = list(dict.fromkeys(row.label for row in rows))
    looks = {
        name: (COLORS[i % len(COLORS)], SHAPES[i // len(COLORS)])
        for i, name in enumerate(names)
        if len(names) <= len(COLORS) * len(SHAPES)
    }
    numbers = np.random.default_rng(0).permutation(len(rows))[:MAX_POINTS]
    shown = sorted((rows[i] for i in np.sort(numbers)), key=lambda row: bool(row.is_wrong))
    xs = _scaled([row.x for row in shown], MARGIN, WIDTH - MARGIN)
    ys = _scaled([row.y for row in shown], HEIGHT - MARGIN, MARGIN)
    return MapChart(
        method=method,
        data=_short(rows[0].data),
        split=_short(rows[0].split),
        num_images=len(rows),
        num_wrong=None if rows[0].is_wrong is None else sum(bool(row.is_wrong) for row in rows),
        marks=[_mark(*parts, looks) for parts in zip(shown, xs, ys, strict=True)],
        legend=[(printable(name), *look) for name, look in looks.items()],
    )


def _mark(row: MapRow, x: float, y: float, looks: dict[str, tuple[str, str]]) -> MapMark:
    outcome = ("orange" if row.is_wrong else "blue", SHAPES[0])
    color, shape = looks.get(row.label, outcome)
    image, label, predicted = (_short(text) for text in (row.image, row.label, row.predicted))
    text = f"{image}: {label}" + (f", predicted {predicted}" if row.is_wrong is not False else "")
    return MapMark(x=x, y=y, color=color, shape=shape, is_wrong=bool(row.is_wrong), text=text)


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 2]} .."


def _scaled(values: Sequence[float], first: float, last: float) -> list[float]:
    """Scale values to positions from `first` to `last`; the middle if all are equal."""
    low, high = min(values), max(values)
    if high == low:
        return [(first + last) / 2] * len(values)
    return [round(first + (value - low) / (high - low) * (last - first), 1) for value in values]
