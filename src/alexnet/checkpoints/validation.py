"""Whether a file's tensors and preprocessing are those of its table."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ArchitectureError
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.limits import check_limits
from alexnet.models.network import Network


def check_tensors(table: Architecture, tensors: Mapping[str, Tensor]) -> None:
    """Hold the tensors of a model file against its table: names, shapes, types, finite numbers.

    Raises:
        ArchitectureError: names the first tensor that is missing, left over or another.
    """
    check_limits(table)
    with torch.device("meta"):
        own = Network(table).state_dict()
    if other := sorted(own.keys() ^ tensors.keys()):
        lack = "lacks" if other[0] in own else "also has"
        raise ArchitectureError(f"it does not fit its own table: it {lack} {other[0]}")
    for name, tensor in tensors.items():
        here, there = (_described(t) for t in (own[name], tensor))
        if here != there:
            raise ArchitectureError(
                f"it does not fit its own table: {name} is {there}, and should be {here}"
            )
    if broken := first_nonfinite(tensors):
        raise ArchitectureError(f"{broken} holds values that are not numbers")


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str:
    """Name a tensor with an infinite value or one that is not a number; "" where there is none."""
    return next((name for name, t in tensors.items() if not bool(torch.isfinite(t).all())), "")


def check_pictures(table: Architecture, rule: Preprocessing, mean_image: Tensor | None) -> None:
    """Hold the preprocessing of a model file against its table.

    Raises:
        ArchitectureError: the pictures or the mean picture have another shape than the input.
    """
    made = (rule.channels, rule.side, rule.side)
    if made != table.input:
        raise ArchitectureError(f"its pictures become {made}, and its input is {table.input}")
    if rule.has_mean_image != (mean_image is not None):
        raise ArchitectureError("it lacks its mean image, or has one that is not used")
    if mean_image is not None and _described(mean_image) != _described(torch.empty(made)):
        raise ArchitectureError(f"its mean image is {_described(mean_image)}, not {made}")


def _described(tensor: Tensor) -> str:
    return f"{shape_text(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
