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
        network: what is looked into.
        x: a preprocessed image [1, C, H, W].
    """
    arch = network.architecture
    with exactly(network), torch.no_grad():
        outputs = network.intermediate_outputs(x)
    return tuple(
        _strongest(network, name, outputs[activation_of(arch, name)][0])
        for name in conv_names(arch)
    )


def _strongest(network: Network, layer: str, maps: Tensor) -> StrongChannels:
    peaks, indices = maps.flatten(1).amax(1).topk(min(NUM_CHANNELS, len(maps)))
    chosen = maps[indices].float().cpu().numpy()
    arch = network.architecture
    shown = [on_input(one, arch, activation_of(arch, layer)) for one in chosen]
    return StrongChannels(
        layer=layer,
        indices=tuple(indices.tolist()),
        peaks=tuple(peaks.tolist()),
        maps=np.stack(shown),
    )
