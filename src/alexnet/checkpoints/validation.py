"""Checks that a file's tensors and preprocessing match its architecture."""

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


def check_tensors(arch: Architecture, tensors: Mapping[str, Tensor]) -> None:
    """Check names, shapes, types and values of a model file's tensors.

    Raises:
        ArchitectureError: names the first tensor that is missing, unexpected, or does not fit.
    """
    check_limits(arch)
    with torch.device("meta"):
        own = Network(arch).state_dict()
    if other := sorted(own.keys() ^ tensors.keys()):
        lack = "lacks" if other[0] in own else "also has"
        raise ArchitectureError(f"it does not fit its own architecture: it {lack} {other[0]}")
    for name, tensor in tensors.items():
        expected, found = (_describe(t) for t in (own[name], tensor))
        if expected != found:
            raise ArchitectureError(
                f"it does not fit its own architecture: {name} is {found}, and should be {expected}"
            )
    if broken := first_nonfinite(tensors):
        raise ArchitectureError(f"{broken} has values that are not finite")


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str:
    """The name of a tensor with a value that is infinite or NaN; "" if there is none."""
    return next((name for name, t in tensors.items() if not _is_finite(t)), "")


def _is_finite(tensor: Tensor) -> bool:
    """Whether all values are finite.

    The sum is fast to compute and finite only if all values are, but it may overflow.
    """
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def check_preprocessing(
    arch: Architecture, preprocessing: Preprocessing, mean_image: Tensor | None
) -> None:
    """Check that the preprocessing of a model file gives the network's input.

    Raises:
        ArchitectureError: the images or the mean image have another shape than the input.
    """
    shape = (preprocessing.channels, preprocessing.input_side, preprocessing.input_side)
    if shape != arch.input:
        raise ArchitectureError(f"its preprocessing gives {shape}, and its input is {arch.input}")
    if preprocessing.has_mean_image != (mean_image is not None):
        raise ArchitectureError("it lacks its mean image, or has one that is not used")
    if mean_image is not None and _describe(mean_image) != _describe(torch.empty(shape)):
        raise ArchitectureError(f"its mean image is {_describe(mean_image)}, not {shape}")


def _describe(tensor: Tensor) -> str:
    return f"{shape_text(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
