"""Charts of lines over the epochs, as coordinates for SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

WIDTH, HEIGHT = 420, 236
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 28
MAX_POINTS = 600
"""Maximum points of a line; of more epochs every second, third and so on is drawn."""
MAX_EPOCH_STEPS = 7
"""Maximum number of steps between the ticks of an axis of epochs."""
COLORS = ("blue", "orange", "green", "purple", "violet", "gold", "ink", "soft")
"""Names of the page's colors, in the order of the lines."""

Format = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Series:
    """The values of a line, one for each epoch; None leaves a gap."""

    name: str
    values: Sequence[float | None]
    color: str = ""
    is_dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line in coordinates of the SVG."""

    name: str
    color: str
    is_dashed: bool
    path: str
    """The commands of the SVG path, with a gap where a value is missing."""
    dots: list[tuple[float, float]]
    """Points between two gaps, which a path does not show."""
    ys: list[float | None]
    texts: list[str]
    last: str
    """The text of the last value."""


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """A chart; all positions are in units of its view box."""

    title: str
    width: int
    height: int
    left: int
    right: int
    """The x position of the right end of the plot's area."""
    top: int
    bottom: int
    x_name: str
    xs: list[float]
    x_labels: list[str]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]
    mark: float | None
    """The x position of a vertical line, such as at the best epoch; None if there is none."""
    mark_text: str

    @property
    def points(self) -> dict[str, object]:
        """The positions and texts with which the script shows the values under the pointer."""
        names = ("name", "color", "ys", "texts")
        lines = [{name: getattr(line, name) for name in names} for line in self.lines]
        return {"name": self.x_name, "xs": self.xs, "labels": self.x_labels, "lines": lines}


def line_chart(
    title: str,
    epochs: Sequence[int],
    series: Sequence[Series],
    text: Format,
    *,
    is_log: bool = False,
    mark: int | None = None,
    mark_text: str = "",
) -> LineChart:
    """Make a line chart of values over the epochs.

    Args:
        title: the title of the chart, with the unit.
        epochs: the epochs, ascending; every series has a value for each.
        series: the lines.
        text: formats a value as text.
        is_log: whether the scale is logarithmic, which leaves out values that are not positive.
        mark: the epoch at which a vertical line is drawn.
        mark_text: the label of that line.
    """
    kept = _kept(len(epochs))
    chosen = [epochs[i] for i in kept]
    values = [[_usable(s.values[i], is_log) for i in kept] for s in series]
    numbers = [v for line in values for v in line if v is not None]
    ticks, scale_y = _y_scale(numbers, is_log)
    first, last = (chosen[0], chosen[-1]) if chosen else (0, 1)
    scale_x = partial(_x_position, first=first, last=last)

    xs = [scale_x(epoch) for epoch in chosen]
    return LineChart(
        title=title,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        x_name="epoch",
        xs=xs,
        x_labels=[f"{x:,}" for x in chosen],
        x_ticks=[(scale_x(x), f"{x:,}") for x in epoch_ticks(first, last)] if chosen else [],
        y_ticks=[
            (scale_y(v), name) for v, name in zip(ticks, tick_texts(ticks, text), strict=True)
        ],
        lines=[
            _line(one, COLORS[i % len(COLORS)], xs, line, scale_y, text)
            for i, (one, line) in enumerate(zip(series, values, strict=True))
        ],
        mark=scale_x(mark) if mark is not None and first <= mark <= last else None,
        mark_text=mark_text,
    )


def _x_position(epoch: float, first: int, last: int) -> float:
    """The x position of an epoch between the first and the last one."""
    share = (epoch - first) / (last - first) if last > first else 0.5
    return round(LEFT + share * (WIDTH - RIGHT - LEFT), 1)


def _line(
    series: Series,
    color: str,
    xs: Sequence[float],
    values: Sequence[float | None],
    scale_y: Callable[[float], float],
    text: Format,
) -> Line:
    """Make the line of a series, in `color` unless the series has its own."""
    ys = [None if v is None else scale_y(v) for v in values]
    texts = ["–" if v is None else text(v) for v in values]
    return Line(
        name=series.name,
        color=series.color or color,
        is_dashed=series.is_dashed,
        path=_path(xs, ys),
        dots=_dots(xs, ys),
        ys=ys,
        texts=texts,
        last=next((t for t in reversed(texts) if t != "–"), "–"),
    )


def tick_texts(ticks: Sequence[float], text: Format) -> list[str]:
    """Format the ticks by `text`; all get an exponent if one has it, as 1.5e-4 beside 5e-5."""
    texts = [tick_text(value, text) for value in ticks]
    has_exponent = any("e" in name for name in texts)
    return [
        _scientific(value) if has_exponent and value else name
        for value, name in zip(ticks, texts, strict=True)
    ]


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def tick_text(value: float, text: Format) -> str:
    """Format a number by `text`, without trailing zeros."""
    number, space, unit = text(value).partition(" ")
    is_plain = "." in number and "e" not in number
    return (number.rstrip("0").rstrip(".") if is_plain else number) + space + unit


def _kept(count: int) -> list[int]:
    """The indices of the epochs that are drawn: all, or evenly spaced ones with the last."""
    step = max(1, math.ceil(count / MAX_POINTS))
    return [count - 1 - i for i in range(0, count, step)][::-1]


def _usable(value: float | None, is_log: bool) -> float | None:
    if value is None or not math.isfinite(value) or (is_log and value <= 0):
        return None
    return value


def _y_scale(values: Sequence[float], is_log: bool) -> tuple[list[float], Callable[[float], float]]:
    """The ticks of the y axis (a linear one includes 0), and a function from value to position."""
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    if not is_log:
        low = min(low, 0.0)
    ticks = log_ticks(low, high) if is_log else linear_ticks(low, high)
    convert = math.log10 if is_log else float
    bottom, top = convert(min(low, ticks[0])), convert(max(high, ticks[-1]))
    span = top - bottom or 1.0

    def scale(value: float) -> float:
        share = (convert(value) - bottom) / span
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    return ticks, scale


def linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `count` of them."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; in a short range also 2 and 5 times those."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first <= 2:
        ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
        below = [t for t in ticks if t <= low * 1.001] or ticks[:1]
        above = [t for t in ticks if t >= high * 0.999] or ticks[-1:]
        return [t for t in ticks if below[-1] <= t <= above[0]]
    step = max(1, math.ceil((last - first) / 6))
    return [10.0**power for power in range(first, last + step, step)]


def epoch_ticks(first: int, last: int) -> list[int]:
    """Whole numbers between two epochs, the first among them."""
    if last <= first:
        return [first]
    raw = (last - first) / MAX_EPOCH_STEPS
    power = 10 ** max(0, math.floor(math.log10(raw))) if raw >= 1 else 1
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw)
    ticks = [x for x in range(0, last + 1, step) if x > first]
    return [first, *(x for x in ticks if x - first >= step * 0.6)]


def _path(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """The commands of an SVG path, with a new start after each gap."""
    parts, is_drawing = [], False
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            parts.append(f"{'L' if is_drawing else 'M'}{x:g} {y:g}")
        is_drawing = y is not None
    return "".join(parts)


def _dots(xs: Sequence[float], ys: Sequence[float | None]) -> list[tuple[float, float]]:
    """The points that have no point before or after them."""
    around = [None, *ys, None]
    return [
        (x, y)
        for x, y, before, after in zip(xs, ys, around, around[2:], strict=False)
        if y is not None and before is None and after is None
    ]
