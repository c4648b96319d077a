"""The strongest channels of every convolution for one image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alexnet.explain.attribution import exactly
from alexnet.explain.explanation import StrongChannels
from alexnet.explain.feature_layers import activation_of, conv_names, on_input
from alexnet.models.network import Network

NUM_CHANNELS = 4
"""Channels of a layer that are kept."""


def strong_channels(network: Network, x: Tensor) -> tuple[StrongChannels, ...]:
    """The channels with the highest output anywhere in the map, of every convolution.

    Args:
        network: the network.
        x: a preprocessed image [1, C, H, W].
    """
    arch = network.architecture
    with exactly(network), torch.no_grad():
        outputs = network.intermediate_outputs(x)
    return tuple(
        _strongest(network, name, outputs[activation_of(arch, name)][0])
        for name in conv_names(arch)
    )


def channel_maps(
    network: Network, x: Tensor, layer: str, count: int
) -> tuple[tuple[int, ...], np.ndarray]:
    """The strongest channels of one layer, highest first, and their maps float32 [n, h, w].

    The maps have the size of the layer's output, after its batch norm and activation function;
    `map_window` gives their place on the input.

    Args:
        network: the network.
        x: a preprocessed image [1, C, H, W].
        layer: a convolution.
        count: number of channels; fewer if the layer has fewer.
    """
    with exactly(network), torch.no_grad():
        maps = network.intermediate_outputs(x)[activation_of(network.architecture, layer)][0]
    _, indices = _peaks(maps, count)
    return tuple(indices.tolist()), maps[indices].float().cpu().numpy()


def _strongest(network: Network, layer: str, maps: Tensor) -> StrongChannels:
    peaks, indices = _peaks(maps, NUM_CHANNELS)
    chosen = maps[indices].float().cpu().numpy()
    arch = network.architecture
    shown = [on_input(one, arch, activation_of(arch, layer)) for one in chosen]
    return StrongChannels(
        layer=layer,
        indices=tuple(indices.tolist()),
        peaks=tuple(peaks.tolist()),
        maps=np.stack(shown),
    )


def _peaks(maps: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest outputs of the `count` strongest channels of [C, h, w], and their indices."""
    peaks, indices = maps.flatten(1).amax(1).topk(min(count, len(maps)))
    return peaks, indices
