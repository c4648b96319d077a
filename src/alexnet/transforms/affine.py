"""Rotation, shear and translation of crops, in one bilinear resampling of the stored image.

A matrix [3, 3] maps (column, row, 1) of a pixel of the result to that of a pixel of what it is
taken from. Matrices multiply in the order of the changes, so that several changes of a crop and
the crop itself are a single resampling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.transforms.checks import check_images


def crop_matrices(boxes: Tensor) -> Tensor:
    """Matrices from a pixel of a crop to that of the stored image: boxes [B, 4] to [B, 3, 3]."""
    x, step_x, y, step_y = boxes.unbind(1)
    zero = torch.zeros_like(x)
    return _matrices((step_x, zero, x), (zero, step_y, y))


def rotation_matrices(degrees: Tensor, size: int) -> Tensor:
    """Rotations counterclockwise about the centre of images of `size` pixels: [B] to [B, 3, 3]."""
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    center = (size - 1) / 2
    x, y = center * (1 - cos + sin), center * (1 - cos - sin)
    return _matrices((cos, -sin, x), (sin, cos, y))


def shear_matrices(shear_x: Tensor, shear_y: Tensor) -> Tensor:
    """Shears that fix the top left corner of an image: twice [B] to [B, 3, 3].

    Row y is moved to the left by shear_x * y pixels, and column x up by shear_y * x.
    """
    one = torch.ones_like(shear_x)
    return _matrices((one, shear_x, shear_x / 2), (shear_y, one, shear_y / 2))


def translation_matrices(x: Tensor, y: Tensor) -> Tensor:
    """Translations by pixels to the right and down: twice [B] to [B, 3, 3]."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrices((one, zero, -x), (zero, one, -y))


def _matrices(x: tuple[Tensor, Tensor, Tensor], y: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Matrices [B, 3, 3] from two rows of numbers [B] each, and the row (0, 0, 1)."""
    zero, one = torch.zeros_like(x[0]), torch.ones_like(x[0])
    rows = (torch.stack(row, 1) for row in (x, y, (zero, zero, one)))
    return torch.stack(tuple(rows), 1)


def rotate(images: Tensor, degrees: Tensor, fill: Tensor) -> Tensor:
    """Images rotated about their centre, bilinear, at the same size.

    Args:
        images: float [B, C, S, S].
        degrees: counterclockwise, [B].
        fill: colour [C] of the corners that nothing is rotated into.

    Raises:
        UsageError: the images are not float [B, C, S, S].
    """
    check_images(images, square=True)
    size = images.shape[-1]
    return crop_affine(images, rotation_matrices(degrees, size), size, fill)


def crop_affine(images: Tensor, matrices: Tensor, size: int, fill: Tensor) -> Tensor:
    """Sample images bilinearly: float [B, C, S, S] to [B, C, size, size] in channels-last memory.

    Args:
        images: stored images.
        matrices: matrices from a pixel of the result to that of an image, [B, 3, 3].
        size: side of the result, in pixels.
        fill: colour [C] of what lies outside the image.
    """
    span, stored_size = torch.arange(size, device=images.device), images.shape[-1]
    grid = torch.empty(len(images), size, size, 2, device=images.device)
    for axis in (0, 1):
        by_column, by_row, first = matrices[:, axis, :, None, None].unbind(1)
        position = by_column * span + by_row * span[:, None] + first
        grid[..., axis] = (2 * position + 1) / stored_size - 1
    crops = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    is_outside = (grid.abs() > 1).any(3)[:, None]
    crops = torch.where(is_outside, fill[:, None, None], crops)
    return crops.contiguous(memory_format=torch.channels_last)
