"""Where the stages of a drawing stand, and how large they are.

Three scales hold in a whole drawing: one for pixels of height and width, one for channels, one for
features. Channels and the drawing go to the right, height goes down, and width goes to the right
and up (an oblique projection), so that the side on the right is the feature map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alexnet.models.drawing.shapes import BOLD, Point, text_width
from alexnet.models.drawing.stages import Stage

SLANT_X, SLANT_Y = 0.36, 0.22
"""How far to the right and up one pixel of a map's width is drawn, in pixels of its height."""
MAX_HEIGHT, MAX_SLANT = 400.0, 150.0
"""Maximum height of a block with the rise of its slant, and maximum slant to the right, in units of
the drawing."""
MEAN_THICKNESS, MAX_THICKNESS = 44.0, 110.0
MAX_COLUMN, COLUMN_THICKNESS, COLUMN_WIDTH = 300.0, 11.0, 14.0
MAX_PIXEL, MAX_CHANNEL, MAX_FEATURE = 40.0, 20.0, 5.0
"""Maximum units of the drawing per pixel, channel and feature, so that small maps and layers of ten
features are drawn small."""
GAP, LABEL_GAP, TOWER_GAP = 40.0, 12.0, 22.0
LABEL_SIZE, NAME_SIZE = 10.5, 12.5


class Scales(NamedTuple):
    """Units of the drawing per pixel, channel and feature."""

    pixel: float
    channel: float
    feature: float


@dataclass(frozen=True, slots=True)
class Block:
    """A box: the left top corner of its front, and its three sides in units of the drawing."""

    x: float
    y: float
    thickness: float
    """Extent to the right, which shows the number of channels."""
    height: float
    """Extent downwards, which shows the height of a map or the number of features."""
    width: float
    """Extent into the page before it is slanted, which shows the width of a map."""

    @property
    def slant(self) -> Point:
        """The vector from a corner of the front to that of the back; upwards is negative."""
        return SLANT_X * self.width, -SLANT_Y * self.width

    @property
    def right(self) -> float:
        """The x of the front's right edge."""
        return self.x + self.thickness

    @property
    def end(self) -> float:
        """The x of the rightmost corner."""
        return self.right + self.slant[0]

    @property
    def bottom(self) -> float:
        """The y of the lowest corner."""
        return self.y + self.height

    @property
    def top(self) -> float:
        """The y of the highest corner."""
        return self.y + self.slant[1]

    @property
    def middle(self) -> float:
        """The y of the front's middle."""
        return self.y + self.height / 2

    def faces(self) -> tuple[tuple[Point, ...], tuple[Point, ...], tuple[Point, ...]]:
        """The corners of front, top and right side, each from the left top corner clockwise."""
        (x, y), (right, bottom), (dx, dy) = (self.x, self.y), (self.right, self.bottom), self.slant
        front = ((x, y), (right, y), (right, bottom), (x, bottom))
        top = ((x + dx, y + dy), (right + dx, y + dy), (right, y), (x, y))
        side = ((right, y), (right + dx, y + dy), (right + dx, bottom + dy), (right, bottom))
        return front, top, side


@dataclass(frozen=True, slots=True)
class Place:
    """A stage with its blocks, one per tower from top to bottom, and its label's middle x."""

    stage: Stage
    blocks: tuple[Block, ...]
    label_x: float

    @property
    def bottom(self) -> float:
        """The y of the lowest corner."""
        return max(block.bottom for block in self.blocks)

    @property
    def end(self) -> float:
        """The x of the rightmost corner."""
        return max(block.end for block in self.blocks)


def scales_of(stages: Sequence[Stage]) -> Scales:
    """The scales at which the largest stages are drawn at the largest sizes allowed."""
    maps = [stage for stage in stages if len(stage.shape) == 3]
    pixels = [
        min(MAX_HEIGHT / (h + SLANT_Y * w), MAX_SLANT / (SLANT_X * w), MAX_PIXEL)
        for _, h, w in (stage.shape for stage in maps)
    ]
    channels = [stage.shape[0] / stage.towers for stage in maps]
    thickness = min(MEAN_THICKNESS * len(maps) / sum(channels), MAX_THICKNESS / max(channels))
    features = max((stage.shape[0] for stage in stages if stage.kind == "fc"), default=1)
    feature = min(MAX_FEATURE, MAX_COLUMN / features)
    return Scales(min(pixels), min(MAX_CHANNEL, thickness), feature)


def place_stages(stages: Sequence[Stage], scales: Scales, left: float) -> list[Place]:
    """Place the stages from left to right around y = 0; neither blocks nor labels overlap."""
    offset = _tower_offset(stages, scales)
    places: list[Place] = []
    end = label_end = left
    for stage in stages:
        ((block, *_), half) = _blocks(stage, scales, 0, offset), label_width(stage) / 2
        center = (block.thickness + block.slant[0]) / 2
        x = max(end + (GAP if places else 0), label_end + half - center)
        blocks = _blocks(stage, scales, x, offset)
        places.append(Place(stage, blocks, x + center))
        end, label_end = blocks[0].end, x + center + half + LABEL_GAP
    return places


def label_lines(stage: Stage) -> list[str]:
    """The lines of text below a stage, after its name."""
    share = stage.shape[0] // stage.towers
    towers = [f"2 towers of {share}"] if stage.towers > 1 else []
    return [stage.size, *towers, *stage.operation]


def label_width(stage: Stage) -> float:
    """An upper estimate of the width of the text below a stage."""
    lines = [*label_lines(stage), *(note.text for note in stage.notes)]
    widths = [text_width(line, LABEL_SIZE) for line in lines]
    return max(text_width(stage.name[:MAX_NAME], NAME_SIZE * BOLD), *widths)


MAX_NAME = 16
"""Maximum number of characters of a layer's name that are shown."""


def _tower_offset(stages: Sequence[Stage], scales: Scales) -> float:
    """The distance between the middle of a tower and the middle of the drawing."""
    sides = [stage.shape[1:] for stage in stages if stage.towers > 1]
    extents = [scales.pixel * (h + SLANT_Y * w) for h, w in sides]
    return (max(extents, default=0) + TOWER_GAP) / 2


def _blocks(stage: Stage, scales: Scales, x: float, offset: float) -> tuple[Block, ...]:
    if len(stage.shape) == 1:
        sizes = (COLUMN_THICKNESS, stage.shape[0] * scales.feature, COLUMN_WIDTH)
    else:
        channels, height, width = stage.shape
        thickness = channels / stage.towers * scales.channel
        sizes = (thickness, height * scales.pixel, width * scales.pixel)
    middles = (0.0,) if stage.towers == 1 else (-offset, offset)
    return tuple(
        Block(x, middle - sizes[1] / 2 + SLANT_Y * sizes[2] / 2, *sizes) for middle in middles
    )
