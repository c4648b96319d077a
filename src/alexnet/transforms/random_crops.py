"""Random crops of stored images: where they are, and their pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.augmentation import Augmentation


def random_crop_boxes(
    count: int, stored_size: int, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Boxes of `side` pixels in images of `stored_size`: float32 [count, 4].

    A box is (x, step in x, y, step in y) in pixels: the coordinates of the crop's first pixel, and
    the distance from one pixel of the crop to the next. A flipped crop starts at its right edge
    and has a step of -1 in x; one flipped vertically starts at its bottom.

    Source: Paper, section 4.1; one box per image, where the 2012 code used one for 32 images.
    """
    positions, device = stored_size - side + 1, generator.device
    if options.crop == "center":
        top = left = torch.full((count,), (positions - 1) // 2, device=device)
    else:
        top, left = torch.randint(positions, (2, count, 1), generator=generator, device=device)[
            ..., 0
        ]
    x, step_x = _flip_half(left, side, options.flip, generator)
    y, step_y = _flip_half(top, side, options.vertical_flip, generator)
    return torch.stack((x, step_x, y, step_y), 1).float()


def _flip_half(
    first: Tensor, side: int, flip: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The first pixels and steps of crops along an axis, of which about half are flipped."""
    is_flipped = torch.zeros_like(first, dtype=torch.bool)
    if flip:
        is_flipped = torch.rand(len(first), 1, generator=generator, device=first.device)[:, 0] < 0.5
    return torch.where(is_flipped, first + side - 1, first), torch.where(is_flipped, -1.0, 1.0)


def crop_integer(pixels: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Crops at whole pixels: uint8 [B, S, S, 3] to [B, side, side, 3]."""
    span = torch.arange(side, device=pixels.device)
    x, step_x, y, step_y = boxes.long().T[..., None]
    rows, columns = y + step_y * span, x + step_x * span
    batch = torch.arange(len(pixels), device=pixels.device)
    return pixels[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def random_resized_crop_boxes(
    count: int, stored_size: int, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Boxes of random area and aspect ratio, in the form of `random_crop_boxes`: [count, 4].

    They are sampled at `side` pixels. The square root of the area is uniform between that of
    `min_scale` and 1; the logarithm of the aspect ratio is uniform.
    """
    device = generator.device
    scale, aspect, flip, x, y = torch.rand(5, count, generator=generator, device=device)
    min_scale = options.min_scale**0.5
    scale = min_scale + (1 - min_scale) * scale
    aspect = torch.full((), options.max_aspect_ratio, device=device) ** (aspect - 0.5)
    width, height = (scale * aspect).clamp(max=1), (scale / aspect).clamp(max=1)
    if options.crop == "center":
        x, y = torch.full_like(x, 0.5), torch.full_like(y, 0.5)
    step_x, step_y = width * (stored_size / side), height * (stored_size / side)
    if options.flip:
        step_x *= torch.where(flip < 0.5, -1.0, 1.0)
    if options.vertical_flip:
        flip = torch.rand(count, generator=generator, device=device)
        step_y *= torch.where(flip < 0.5, -1.0, 1.0)
    # x and y, 0 to 1, place the box between the two edges of the image. Its first pixel is
    # (side - 1) / 2 steps before its centre.
    center_x = (stored_size * (1 + (2 * x - 1) * (1 - width)) - 1) / 2
    center_y = (stored_size * (1 + (2 * y - 1) * (1 - height)) - 1) / 2
    half = (side - 1) / 2
    return torch.stack((center_x - half * step_x, step_x, center_y - half * step_y, step_y), 1)


def crop_bilinear(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Bilinear crops: float [B, C, S, S] to [B, C, side, side] in channels-last memory."""
    span, stored_size = torch.arange(side, device=images.device), images.shape[-1]
    left, step_x, top, step_y = boxes.T[..., None]
    x, y = (2 * (first + step * span) + 1 for first, step in ((left, step_x), (top, step_y)))
    grid = torch.empty(len(images), side, side, 2, device=images.device)
    grid[..., 0], grid[..., 1] = (
        (x / stored_size - 1)[:, None, :],
        (y / stored_size - 1)[:, :, None],
    )
    crops = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)
