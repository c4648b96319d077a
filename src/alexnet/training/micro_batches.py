"""Micro-batches: parts of a batch, for batches larger than memory and for several processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.world import World


@dataclass(frozen=True)
class MicroBatch:
    """A part of a batch that goes through the network at once, and this process's rows of it."""

    rows: slice
    """The rows of the batch that are in the part."""
    own: slice
    """The rows of the batch that this process computes; all of the part where it is alone."""


def micro_batches(count: int, recipe: Recipe, world: World) -> list[MicroBatch]:
    """Micro-batches of a batch of `count` images, each of at most `recipe.batch_size`.

    The last batch of a small training set may have fewer parts; they differ by one image at most.
    """
    parts = min(recipe.optimizer.accumulate, math.ceil(count / recipe.batch_size))
    return [_micro_batch(rows, world) for rows in World(size=parts).all_rows(count)]


def _micro_batch(rows: slice, world: World) -> MicroBatch:
    own = world.rows(rows.stop - rows.start)
    return MicroBatch(rows, slice(rows.start + own.start, rows.start + own.stop))


def own_rows(count: int, recipe: Recipe, world: World) -> np.ndarray:
    """The positions in a batch of `count` images that this process computes, ascending."""
    return np.concatenate([np.r_[part.own] for part in micro_batches(count, recipe, world)])


def smallest_share(count: int, recipe: Recipe, world: World) -> int:
    """The smallest number of images that a process has at once, in a batch of `count`.

    Raises:
        ConfigError: a process would have none.
    """
    shares = [
        len(range(count)[part.own])
        for rank in range(world.size)
        for part in micro_batches(count, recipe, replace(world, rank=rank))
    ]
    if min(shares) < 1:
        raise too_small_batch(count, world.size)
    return min(shares)


def too_small_batch(count: int, size: int) -> ConfigError:
    """The error for a batch with fewer images than processes."""
    return ConfigError(
        f"a batch of {count:,} images cannot be spread over {size} processes; "
        f"use a --batch-size of at least {size}, or fewer --devices"
    )


@contextmanager
def dropout_of_rows(network: nn.Module, rows: slice, batch_size: int) -> Iterator[None]:
    """A context in which dropout draws the mask of a whole batch and uses some of its rows.

    With the generator as it was before the batch, each image gets the mask that it would get if the
    batch were not in parts.
    """
    if isinstance(network, ParallelNetwork):  # draws all masks itself
        network.batch = rows, batch_size
    if isinstance(network, ParallelNetwork) or rows == slice(0, batch_size):
        yield
        return

    def widen(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        others = (0, 0) * (inputs[0].ndim - 1)
        return F.pad(inputs[0], (*others, rows.start, batch_size - rows.stop))

    def narrow(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output[rows]

    with ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, nn.Dropout) and module.training:
                hooks.callback(module.register_forward_pre_hook(widen).remove)
                hooks.callback(module.register_forward_hook(narrow).remove)
        yield
