"""Crops of stored images by the C kernels: crop, colour shift and normalization in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.ops.arrays import check_array
from alexnet.ops.library import load_kernels
from alexnet.transforms.applied import Applied

MAX_KERNEL_SIDE = 4096
"""Side of images and crops, in pixels, for which the kernel has room on the stack."""


def kernel_crops(
    pixels: Tensor,
    applied: Applied,
    side: int,
    fill: Tensor | None,
    shifts: Tensor,
    mean: Tensor,
    std: Tensor,
) -> Tensor | None:
    """(crop + shift - mean) / std: uint8 [B, S, S, 3] to float32 [B, 3, side, side].

    Args:
        pixels: stored images, on the CPU.
        applied: where the crops are, and how they are rotated and distorted.
        side: side of the result, in pixels.
        fill: colour [3] of what lies outside the image; None where the crops are rectangles.
        shifts: [B, 3].
        mean: [3], or a mean image [side, side, 3].
        std: [3].

    Returns:
        The crops in channels-last memory; None where there are no kernels.

    Raises:
        ValueError: a tensor has another type or shape.
    """
    kernels = load_kernels()
    if kernels is None:
        return None
    pixels, count, size = pixels.contiguous(), len(pixels), pixels.shape[1]
    check_array("pixels", pixels, "uint8", (count, size, size, 3))
    check_array("shifts", shifts, "float32", (count, 3))
    check_array("mean", mean, "float32", (side, side, 3) if mean.ndim == 3 else (3,))
    check_array("std", std, "float32", (3,))
    crops = pixels.new_empty((count, side, side, 3), dtype=torch.float32)
    outputs = (shifts, mean, std, crops, count, size, side, mean.ndim == 3)
    if fill is not None:
        matrices = applied.matrices()
        check_array("matrices", matrices, "float32", (count, 3, 3))
        check_array("fill", fill, "float32", (3,))
        kernels.call("affine_crop_normalize", pixels, matrices, fill, *outputs)
    else:
        check_array("boxes", applied.boxes, "float32", (count, 4))
        kernels.call("crop_normalize", pixels, applied.boxes, *outputs)
    return crops.permute(0, 3, 1, 2)
