"""A batch in parts, so that one update can use more images than memory holds at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config.recipe import Recipe


def micro_batches(
    images: Tensor, targets: Tensor, recipe: Recipe
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """The parts of a batch, of at most `recipe.batch_size` images if the recipe accumulates.

    The last batch of a small training set may have fewer parts; they differ by one image at most.

    Yields:
        The part's rows in the batch, its images and its targets.
    """
    parts = min(recipe.optimizer.accumulate, math.ceil(len(images) / recipe.batch_size))
    start = 0
    for x, y in zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True):
        yield slice(start, start + len(x)), x, y
        start += len(x)


@contextmanager
def dropout_of_rows(network: nn.Module, rows: slice, batch_size: int) -> Iterator[None]:
    """A context in which dropout draws the mask of a whole batch and uses some of its rows.

    With the generator as it was before the batch, each image gets the mask that it would get if the
    batch were not in parts.
    """
    if rows == slice(0, batch_size):
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
