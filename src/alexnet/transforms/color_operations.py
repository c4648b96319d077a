"""The operations of RandAugment on colours and contrast, each for a batch of images.

Images are float [B, C, h, w] on the 0-255 scale, and so are the results, as new tensors. A strength
[B, 1, 1, 1] is from -1 to 1; without a sign its absolute value counts. At strength 0 nothing
changes, except by `autocontrast` and `equalize`, which have no strength.

Source: Cubuk et al. 2019, RandAugment, with the ranges of torchvision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.transforms.crops import LUMA_WEIGHTS

MAX_CHANGE = 0.9
"""How much the factor of an enhancement differs from 1 at strength 1."""


def brightness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with black, or away from it."""
    return _blend(torch.zeros_like(strength), images, strength)


def color(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with the grey image, or away from it."""
    return _blend(_gray(images), images, strength)


def contrast(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with the mean grey value of the image, or away from it."""
    return _blend(_gray(images).mean((1, 2, 3), keepdim=True), images, strength)


def sharpness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with a smoothed image, or away from it; the outermost pixels stay.

    A smoothed pixel is the mean of the 3 x 3 pixels around it, where it counts five times itself.
    """
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (total + 4 * images[:, :, 1:-1, 1:-1]) / 13
    return _blend(smooth, images, strength)


def _blend(others: Tensor, images: Tensor, strength: Tensor) -> Tensor:
    """Blend linearly: nearly `others` at strength -1, `images` at 0, as far beyond these at 1."""
    factor = 1 + MAX_CHANGE * strength
    return (others + factor * (images - others)).clamp_(0, 255)


def _gray(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    red, green, blue = (weight * images[:, i, None] for i, weight in enumerate(LUMA_WEIGHTS))
    return red + green + blue


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the highest bits of every value: 8 at strength 0, 4 at strength 1."""
    step = 2 ** (4 * strength.abs()).round()
    kept = (images / step).floor_() * step
    return torch.where(step > 1, kept, images)


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Invert the values from a threshold on: 256 at strength 0, and 0 at strength 1."""
    return torch.where(images >= 256 * (1 - strength.abs()), 255 - images, images)


def autocontrast(images: Tensor, strength: Tensor) -> Tensor:
    """Stretch the values of every channel to 0-255; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = (images - low) * (255 / (high - low))
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, strength: Tensor) -> Tensor:
    """Equalize the histogram of every channel, of values rounded to integers, as Pillow does.

    A channel of one value stays, and so does one whose values are nearly all the highest.
    """
    values = images.round().long().flatten(2)
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, values, torch.ones_like(values))
    below = counts.cumsum(2) - counts
    step = below.gather(2, values.amax(2, keepdim=True)) // 255
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    equalized = table.gather(2, values).reshape(images.shape).to(images.dtype)
    return torch.where(step[..., None] > 0, equalized, images)
