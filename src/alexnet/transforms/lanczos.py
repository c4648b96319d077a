"""Pillow's Lanczos resize in torch operations that exporters can write, for images of any size.

A resize of one axis is a matrix [side, length] of the filter's values. Pillow rounds these to 22
bits, resizes the rows, rounds to whole numbers of 0 to 255, and resizes the columns; so is it done
here. One value in about 30,000 is another whole number than Pillow's, by 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.config.preprocessing import Resize
from alexnet.data.images.resize import pillow_resizes_tall_images_by_columns

LOBES = 3
"""The filter is sinc(x) * sinc(x / 3) where |x| < 3, and 0 elsewhere."""
COEFFICIENT_SCALE = 1 << 22
"""Pillow's fixed-point coefficients of 8-bit images are whole numbers of this fraction."""


def lanczos_resize(image: Tensor, resize: Resize, side: int) -> Tensor:
    """An image as `decode` resizes it: uint8 [H, W, 3] to float32 [side, side, 3] of 0 to 255.

    H and W may be unknown while a program is exported.

    Source: Pillow, `Image.resize` with LANCZOS and `ImageOps.fit` (its resampling in 8 bits).
    """
    height, width = (torch.scalar_tensor(n, dtype=torch.int64) for n in image.shape[:2])
    shortest = torch.minimum(height, width)
    is_fit = resize == "shortest_edge"
    rows = lanczos_matrix(image.shape[1], shortest if is_fit else width, side)
    columns = lanczos_matrix(image.shape[0], shortest if is_fit else height, side)
    operands = (image.permute(2, 0, 1).float(), rows.T.contiguous(), columns)
    if not pillow_resizes_tall_images_by_columns():
        return _rows_first(*operands).permute(1, 2, 0)
    is_tall = (height > side) & (height - side > 2 * (width - side))
    if torch.compiler.is_exporting():
        resized: Tensor = torch.cond(is_tall, _columns_first, _rows_first, operands)
    else:
        resized = (_columns_first if is_tall else _rows_first)(*operands)
    return resized.permute(1, 2, 0)


def _rows_first(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resize [3, H, W] to [3, side, side], to whole numbers of 0 to 255 after each pass."""
    return _to_whole(columns @ _to_whole(planes @ rows))


def _columns_first(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Do what `_rows_first` does in the other order."""
    return _to_whole(_to_whole(columns @ planes) @ rows)


def lanczos_matrix(length: int, used: Tensor, side: int) -> Tensor:
    """The weight of every pixel of an axis in every resized pixel: float32 [side, length].

    Args:
        length: pixels of the axis.
        used: int64, the central pixels that are resized; the filter also sees those beside them.
        side: resized pixels.
    """
    pixel = torch.arange(length)
    resized = torch.arange(side)[:, None]
    # (pixel's center - resized pixel's center) * 2 * side: a whole number, so it is exact
    distance = (2 * pixel + 1 - (length - used)) * side - (2 * resized + 1) * used
    unit = 2 * torch.maximum(used, torch.scalar_tensor(side, dtype=torch.int64))
    weights = _sinc_product(distance.float() / unit.float())
    weights = torch.where(distance.abs() < LOBES * unit, weights, 0.0)
    weights = weights / weights.sum(1, keepdim=True)
    return torch.round(weights * COEFFICIENT_SCALE) / COEFFICIENT_SCALE


def _sinc_product(x: Tensor) -> Tensor:
    """sinc(x) * sinc(x / LOBES), where sinc(x) is sin(pi x) / (pi x)."""
    angle = torch.pi * torch.where(x == 0, 1.0, x)
    product = torch.sin(angle) * torch.sin(angle / LOBES) * LOBES / (angle * angle)
    return torch.where(x == 0, 1.0, product)


def _to_whole(values: Tensor) -> Tensor:
    """Round half up, and clamp to 0 to 255."""
    return torch.floor(values + 0.5).clamp(0, 255)
