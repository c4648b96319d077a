"""Memory of a training step, estimated from the shapes of the network."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batches
from alexnet.evaluation.evaluator import CHUNK
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.parallel.plan import activations, plan_for
from alexnet.parallel.world import World
from alexnet.runtime.device import compute_dtype
from alexnet.training.replica import rows_world

STATES = {"paper": 1, "sgd": 1, "adam": 2, "adamw": 2, "keras_adam": 2}
"""Numbers that an optimizer keeps for each weight."""
SAVED_ACTIVATIONS = 2
"""Numbers in memory for each output of a layer: it, and its gradient."""
EVALUATED_OUTPUTS = 3
"""Number of tensors of the size of the largest layer's output that are in memory when images are
evaluated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """The memory of a step in each process, in bytes, in float32."""

    weights: int
    """Memory of the weights with their moving average; where a process trains a part of the
    network, of that part and the whole."""
    gradients: int
    """Memory of the gradients; where several processes have the whole network, also of those that
    are being exchanged."""
    optimizer: int
    activations: int
    """Memory of the activations of one micro-batch, and of the images of the step."""

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.weights + self.gradients + self.optimizer + self.activations


def estimate_memory(
    recipe: Recipe,
    network: Network,
    learner: Network,
    batches: Batches,
    world: World,
    output_bytes: int = 4,
) -> MemoryEstimate:
    """Estimate the memory of a step from the network's shapes, without libraries and buffers.

    Args:
        recipe: gives the optimizer, the micro-batches, and how processes share the work.
        network: the whole network.
        learner: what the optimizer updates: the network, or this process's part of it.
        batches: of the training.
        world: the processes that train together.
        output_bytes: of a number of a layer's output.
    """
    arch, images = network.architecture, batches.images_per_step
    scheme = recipe.distributed.parallel
    learning, weights = num_learning_weights(learner), num_stored(network)
    if learner is not network:
        weights += num_stored(learner)
    is_replica = world.size > 1 and scheme == "data"
    plan = plan_for(arch, scheme if world.size > 1 else "data", world.size)
    outputs = activations(plan, min(recipe.batch_size, images), 0)
    own_images = len(range(images)[rows_world(recipe, world).all_rows(images)[0]])
    return MemoryEstimate(
        weights=4 * weights * (1 if recipe.optimizer.ema is None else 2),
        gradients=4 * learning * (2 if is_replica else 1),
        optimizer=4 * learning * STATES[recipe.optimizer.optimizer],
        activations=output_bytes * SAVED_ACTIVATIONS * outputs + 4 * own_images * prod(arch.input),
    )


def bytes_beside_weights(
    recipe: Recipe,
    network: Network,
    learner: Network,
    batches: Batches,
    world: World,
    device: torch.device,
) -> int:
    """Memory that training and evaluation take on a device that has the weights and their average.

    Arguments as of `estimate_memory`.
    """
    output_bytes = compute_dtype(device, recipe.precision).itemsize
    step = estimate_memory(recipe, network, learner, batches, world, output_bytes)
    evaluation = evaluation_bytes(network.architecture, output_bytes)
    return step.gradients + step.optimizer + max(step.activations, evaluation)


def evaluation_bytes(arch: Architecture, output_bytes: int = 4) -> int:
    """Memory of the images that are evaluated at once, and of the largest layer's outputs."""
    largest = max(prod(info.output) for info in arch.layer_infos())
    return CHUNK * (output_bytes * EVALUATED_OUTPUTS * largest + 4 * prod(arch.input))


def num_stored(network: nn.Module) -> int:
    """Number of values that a network's files store."""
    return sum(tensor.numel() for tensor in network.state_dict().values())


def num_learning_weights(network: nn.Module) -> int:
    """Number of weights that are not frozen."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
