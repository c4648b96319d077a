"""Numbers of a network that the tests compare with the architecture's arithmetic."""

from __future__ import annotations

from torch import nn


def num_parameters(network: nn.Module) -> int:
    """Parameters and batch-norm statistics, without the counter of batches, as in `LayerInfo`."""
    state = network.state_dict()
    return sum(state[name].numel() for name in state if not name.endswith(".num_batches_tracked"))
