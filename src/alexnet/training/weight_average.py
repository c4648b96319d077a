"""An exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.models.network import Network, channels_last


class WeightAverage:
    """A second network with the moving average of the first one's weights, in their type, float32.

    After update t, counted from 1, with d = min(decay, (1 + t) / (10 + t)):

        average <- d * average + (1 - d) * weights

    so that the first weights are soon forgotten. Batch-norm statistics are averaged, too.

    Source: Polyak and Juditsky 1992; d is that of TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, network: Network, decay: float, learner: Network | None = None) -> None:
        """Begin with the weights of `network`; with a `learner`, average only its parts."""
        self.decay = decay
        with torch.device("meta"):
            average = channels_last(Network(network.architecture))
        self.network = average.to_empty(device=next(network.parameters()).device)
        self.network.load_state_dict(network.state_dict())
        self.network.requires_grad_(False).eval()
        self.values = self.network.state_dict()
        """What is averaged: the network, or copies of the learner's parts, which `setup.gather`
        puts together in the network."""
        if learner is not None and learner is not network:
            self.values = {name: t.clone() for name, t in learner.state_dict().items()}

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Update the average with the weights after a step, counted from 0."""
        decay = min(self.decay, (step + 2) / (step + 11))
        average, counts = _floats_and_counts(self.values)
        weights, new_counts = _floats_and_counts(network.state_dict())
        torch._foreach_lerp_(average, weights, 1 - decay)
        for count, new_count in zip(counts, new_counts, strict=True):
            count.copy_(new_count)


def build_average(recipe: Recipe, network: Network, learner: Network) -> WeightAverage | None:
    """Build the average that a recipe asks for, or None; arguments as of `WeightAverage`."""
    decay = recipe.optimizer.ema
    return None if decay is None else WeightAverage(network, decay, learner)


def _floats_and_counts(state: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """A network's tensors, divided into floating-point ones and integers."""
    tensors = list(state.values())
    return (
        [tensor for tensor in tensors if tensor.is_floating_point()],
        [tensor for tensor in tensors if not tensor.is_floating_point()],
    )
