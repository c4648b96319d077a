"""What joins the stages of a drawing: kernels, pooling windows and full connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alexnet.models.drawing.blocks import Block, Place, Scales
from alexnet.models.drawing.colors import DENSE, KERNEL, POOLING_WINDOW
from alexnet.models.drawing.shapes import Point, Polygon
from alexnet.models.drawing.stages import Stage

HEIGHTS = (0.25, 0.75)
"""Vertical positions of a window, from 0, the top of a map, to 1, its bottom; stages use them in
turn, so that the windows of neighboring stages can be told apart."""


WINDOW_FACES = (("#f3a862", 0.85), ("#f8cda1", 0.85), ("#ffffff", 0.6))
"""Fill and opacity of front, top and right side."""


def joints(before: Place, place: Place, scales: Scales, index: int) -> Iterator[Polygon]:
    """The kernels of stage `index` in the blocks it reads, and lines to the blocks it computes."""
    stage, height = place.stage, HEIGHTS[index % 2]
    color = KERNEL if stage.kind == "conv" else POOLING_WINDOW
    for source, targets in _pairs(before, place):
        window = _window(source, stage, scales, height)
        for target in targets:
            yield from _cone(window, _output(target, scales, height), color)
        yield from _window_faces(window, color)


def _pairs(before: Place, place: Place) -> Iterator[tuple[Block, tuple[Block, ...]]]:
    """The channels that are read separately, each part with the blocks computed from it."""
    is_apart = place.stage.kind == "pool" or place.stage.groups == 2
    if not is_apart or len(place.blocks) == 1:
        yield from ((block, place.blocks) for block in before.blocks)
        return
    sources = before.blocks
    if len(sources) == 1:
        half = replace(sources[0], thickness=sources[0].thickness / 2)
        sources = (half, replace(half, x=half.right))
    yield from ((source, (target,)) for source, target in zip(sources, place.blocks, strict=True))


def dense_bands(before: Place, place: Place) -> Iterator[Polygon]:
    """Full connections: a band from every block of the stage before to the column."""
    (column,) = place.blocks
    for block in before.blocks:
        x, lift = block.end, block.slant[1]
        corners = (
            (x, block.y + lift),
            (column.x, column.y),
            (column.x, column.bottom),
            (x, block.bottom + lift),
        )
        yield Polygon(corners, DENSE, opacity=0.75, role="dense")


def _window(block: Block, stage: Stage, scales: Scales, height: float) -> Block:
    """The box that one window reads, at the block's right edge, without what lies in the padding.

    `height` says where, from 0, the top of the map, to 1, its bottom.
    """
    side = stage.kernel * scales.pixel
    sides = min(side, block.height), min(side, block.width)
    thickness = min(stage.depth * scales.channel, block.thickness)
    y = block.y + height * (block.height - sides[0])
    return Block(block.right - thickness, y, thickness, *sides)


def _output(target: Block, scales: Scales, height: float) -> Point:
    """The output of the window, at the left edge of the block: one pixel at the same height."""
    return target.x, target.y + height * (target.height - scales.pixel) + scales.pixel / 2


def _window_faces(window: Block, color: str) -> Iterator[Polygon]:
    for face, (fill, opacity) in zip(window.faces(), WINDOW_FACES, strict=True):
        yield Polygon(face, fill, color, opacity, 0.9, "window")


def _cone(window: Block, tip: Point, color: str) -> Iterator[Polygon]:
    """Lines from the corners of a window's right side to the output that it computes."""
    _, _, side = window.faces()
    for corner in side:
        yield Polygon((corner, tip), stroke=color, width=0.6, role="cone")
