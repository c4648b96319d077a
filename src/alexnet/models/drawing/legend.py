"""The legend of a drawing: the three scales as bars, and the colors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10

from alexnet.models.drawing.blocks import Scales
from alexnet.models.drawing.colors import COLORS, INK, KERNEL, MUTED, POOLING_WINDOW
from alexnet.models.drawing.shapes import Polygon, Text
from alexnet.models.drawing.stages import Stage

SIZE, SPACE, ROW_HEIGHT = 10.5, 14.0, 20.0
LONGEST_BAR, SWATCH = 90.0, 11.0
KINDS = {"input": "input", "conv": "convolution", "pool": "pooling", "fc": "fully connected"}


def legend(stages: Sequence[Stage], scales: Scales, x: float, y: float) -> list[Polygon | Text]:
    """The shapes of the legend in two rows, the first with its baseline at `y`."""
    bars = [
        (scales.pixel, "of height and width", "pixel"),
        (scales.channel, "", "channel"),
        *([(scales.feature, "", "feature")] if any(s.kind == "fc" for s in stages) else []),
    ]
    return [*_bars(bars, x, y), *_swatches(stages, x, y + ROW_HEIGHT)]


def _bars(bars: Sequence[tuple[float, str, str]], x: float, y: float) -> Iterator[Polygon | Text]:
    title = Text(x, y, "To scale:", SIZE, MUTED, "start")
    yield title
    x += title.width + SPACE / 2
    for scale, detail, unit in bars:
        count = round_count(LONGEST_BAR / scale)
        right, plural = x + count * scale, "" if count == 1 else "s"
        yield Polygon(((x, y - 7), (x, y), (right, y), (right, y - 7)), stroke=INK, role="bar")
        words = Text(right + 6, y, f"{count:,} {unit}{plural} {detail}".strip(), SIZE, INK, "start")
        yield words
        x = right + 6 + words.width + SPACE


def _swatches(stages: Sequence[Stage], x: float, y: float) -> Iterator[Polygon | Text]:
    kinds = [kind for kind in KINDS if any(stage.kind == kind for stage in stages)]
    entries = [(COLORS[kind].front, COLORS[kind].edge, KINDS[kind]) for kind in kinds]
    if "conv" in kinds:
        entries.append(("#ffffff", KERNEL, "kernel and the output it computes"))
    if "pool" in kinds:
        entries.append(("#ffffff", POOLING_WINDOW, "pooling window"))
    for fill, stroke, name in entries:
        right, top = x + SWATCH, y - SWATCH + 2
        corners = ((x, top), (right, top), (right, y + 2), (x, y + 2))
        yield Polygon(corners, fill, stroke, width=1.0, role="swatch")
        words = Text(right + 6, y, name, SIZE, INK, "start")
        yield words
        x = right + 6 + words.width + SPACE


def round_count(limit: float) -> int:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is at most `limit`; at least 1."""
    if limit < 1:
        return 1
    power = 10 ** floor(log10(limit))
    return int(max(factor * power for factor in (1, 2, 5) if factor * power <= limit))
