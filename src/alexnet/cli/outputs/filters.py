"""What `explain --filters --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.data.store.store import Store
    from alexnet.explain.patches import LayerPatches


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchOutput:
    """The part of an image to which a channel responds most."""

    image: str
    """Its name in the data set."""
    activation: float
    """The channel's highest output, after the activation function."""
    row: int
    """Row of the output in the layer's feature map; 0 for a fully connected layer."""
    column: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelPatchesOutput:
    """The strongest patches of a channel."""

    channel: int
    """Counted from 0."""
    patches: tuple[PatchOutput, ...]
    """Strongest first, each of another image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadChannelsOutput:
    """Channels of a layer that are above zero in none of the images."""

    layer: str
    num_channels: int
    num_dead: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FiltersOutput:
    """The filters of a layer."""

    model: str
    """The model as named on the command line."""
    layer: str
    sheet: str
    """The file of the figure."""
    receptive_field: int
    """Side of the layer's receptive field, in pixels of the network's input."""
    num_images: int | None
    """Number of images that were searched; null if the weights themselves are shown."""
    dead: tuple[DeadChannelsOutput, ...]
    """Dead channels of every layer with a ReLU; empty if no images were searched."""
    channels: tuple[ChannelPatchesOutput, ...]
    """The channels that the figure shows; empty if no images were searched."""


def channel_outputs(
    found: LayerPatches, store: Store, channels: Sequence[int]
) -> tuple[ChannelPatchesOutput, ...]:
    """Make the output of the patches of some channels."""
    return tuple(
        ChannelPatchesOutput(
            channel=channel,
            patches=tuple(
                PatchOutput(
                    image=store.info.names[image],
                    activation=float(value),
                    row=int(row),
                    column=int(column),
                )
                for image, value, (row, column) in zip(
                    found.images[channel],
                    found.values[channel],
                    found.positions[channel],
                    strict=True,
                )
            ),
        )
        for channel in channels
    )


def dead_outputs(found: LayerPatches) -> tuple[DeadChannelsOutput, ...]:
    """Make the output of the dead channels of every layer with a ReLU."""
    return tuple(
        DeadChannelsOutput(
            layer=layer, num_channels=found.num_channels[layer], num_dead=found.num_dead[layer]
        )
        for layer in found.num_channels
    )
