"""The drawing of an architecture: blocks to scale, kernels, labels and a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from alexnet.models.architecture import Architecture
from alexnet.models.drawing.blocks import (
    LABEL_SIZE,
    MAX_NAME,
    NAME_SIZE,
    Place,
    Scales,
    label_lines,
    place_stages,
    scales_of,
)
from alexnet.models.drawing.colors import COLORS, INK, MUTED, RULE
from alexnet.models.drawing.legend import legend
from alexnet.models.drawing.shapes import BOLD, Drawing, Group, Polygon, Text, shortened
from alexnet.models.drawing.stages import stages_of
from alexnet.models.drawing.windows import dense_bands, joints
from alexnet.models.summary import totals

MARGIN, HEAD_HEIGHT, LINE_HEIGHT, MIN_WIDTH = 28.0, 62.0, 14.0, 620.0


def draw_network(net: Architecture) -> Drawing:
    """A network as in the paper's figure 2, to scale.

    Every feature map is a block of its height, width and channels, and the output of every fully
    connected layer a column. The kernel of a convolution is a box in the block that it reads.
    Channels stand in two towers where a convolution has two groups.
    """
    stages = stages_of(net)
    scales = scales_of(stages)
    places = place_stages(stages, scales, MARGIN)
    top = min(block.top for place in places for block in place.blocks)
    places = [_moved_down(place, MARGIN + HEAD_HEIGHT - top) for place in places]
    label_top = max(place.bottom for place in places) + 34
    labels = [item for place in places for item in _label(place, label_top)]
    legend_top = max(text.y for text in labels if isinstance(text, Text)) + 40
    keys = list(legend(stages, scales, MARGIN, legend_top))
    width = max(MIN_WIDTH, MARGIN + max(map(_right_end, [*labels, *keys])), places[-1].end + MARGIN)
    return Drawing(
        f"{net.name}: {net.source}",
        width,
        legend_top + MARGIN + 18,
        (*_head(net, width - 2 * MARGIN), *_network(places, scales), *labels, *keys),
    )


def _network(places: Sequence[Place], scales: Scales) -> Iterator[Polygon | Group]:
    """The shapes from back to front: full connections, blocks, and the windows in them."""
    for before, place in pairwise(places):
        if place.stage.kind == "fc":
            yield from dense_bands(before, place)
    yield from map(_block_group, places)
    for i, (before, place) in enumerate(pairwise(places)):
        if place.stage.kind != "fc":
            yield from joints(before, place, scales, i)


def _right_end(item: Polygon | Text) -> float:
    """The largest x of a shape."""
    if isinstance(item, Polygon):
        return max(x for x, _ in item.points)
    return item.x + item.width / (2 if item.anchor == "middle" else 1)


def _moved_down(place: Place, distance: float) -> Place:
    return replace(
        place, blocks=tuple(replace(block, y=block.y + distance) for block in place.blocks)
    )


def _head(net: Architecture, width: float) -> Iterator[Text]:
    """Name, source and totals of the network."""
    sums = totals(net.layer_infos())
    numbers = f"{sums.parameters:,} parameters, {sums.macs:,} multiply-accumulates per image"
    top = MARGIN + 12
    yield Text(MARGIN, top, shortened(net.name, 18 * BOLD, width), 18, INK, "start", True)
    yield Text(MARGIN, top + 18, shortened(net.source, 11, width), 11, MUTED, "start")
    yield Text(MARGIN, top + 34, numbers, 11, MUTED, "start")


def _block_group(place: Place) -> Group:
    """The blocks of a stage, with the text below the stage as their tooltip."""
    stage, colors = place.stage, COLORS[place.stage.kind]
    polygons = [
        Polygon(face, color, colors.edge, role=f"{stage.kind} {name}")
        for block in place.blocks
        for name, face, color in zip(("front", "top", "side"), block.faces(), colors, strict=False)
    ]
    words = [*label_lines(stage), *(note.text for note in stage.notes)]
    return Group(stage.name, f"{stage.name}: {', '.join(words)}", tuple(polygons))


def _label(place: Place, top: float) -> Iterator[Polygon | Text]:
    """Name, size, operation and notes below a stage, and a line from it to them."""
    x, stage = place.label_x, place.stage
    yield Polygon(((x, place.bottom + 4), (x, top - 14)), stroke=RULE, role="leader")
    name = stage.name if len(stage.name) <= MAX_NAME else f"{stage.name[: MAX_NAME - 1]}…"
    yield Text(x, top, name, NAME_SIZE, INK, is_bold=True, layer=stage.name)
    y = top + 2
    for i, line in enumerate(label_lines(stage)):
        y += LINE_HEIGHT
        yield Text(x, y, line, LABEL_SIZE, INK if i == 0 else MUTED)
    for note in stage.notes:
        y += LINE_HEIGHT
        yield Text(x, y, note.text, LABEL_SIZE, COLORS["conv"].edge, layer=note.layer)
