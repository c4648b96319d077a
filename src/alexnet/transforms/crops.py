"""Stored pictures as network inputs for evaluation: one centre view, or the paper's ten."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Share of red, green and blue in a grey value (ITU-R BT.601, as Pillow converts)."""


def to_float_chw(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """uint8 [B, H, W, 3] as float32 [B, channels, H, W], channels last, still on 0-255."""
    maps = pixels.permute(0, 3, 1, 2).float()
    if preprocessing.channels == 1:
        weights = torch.tensor(LUMA_WEIGHTS, device=maps.device)[:, None, None]
        return (maps * weights).sum(1, keepdim=True)
    return maps


def normalise(maps: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None) -> Tensor:
    """Subtract the mean and divide, in place: float [B, C, h, w], 0-255 scale to the recipe's own.

    `mean_image` [C, h, w] is the centre crop of the mean picture and is subtracted at every crop
    position.

    Source: Code2012; the paper's text would crop the mean image as the picture is cropped.
    """
    c = preprocessing.channels
    mean = torch.tensor(preprocessing.mean[:c], device=maps.device)[:, None, None]
    divisor = torch.tensor(preprocessing.std[:c], device=maps.device)[:, None, None]
    return maps.sub_(mean if mean_image is None else mean_image).div_(divisor)


def resized(maps: Tensor, side: int) -> Tensor:
    """Float maps [B, C, h, w] at [B, C, side, side]; bilinear, smoothed when shrinking."""
    if maps.shape[-1] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", antialias=True)


def pad(pixels: Tensor, pad: int) -> Tensor:
    """uint8 [B, H, W, 3] with `pad` rows and columns of zeros on every side."""
    return F.pad(pixels, (0, 0, pad, pad, pad, pad)) if pad else pixels


def crop_and_normalize(
    pixels: Tensor,
    top: int,
    left: int,
    preprocessing: Preprocessing,
    mean_image: Tensor | None,
    is_mirrored: bool = False,
) -> Tensor:
    """The normalised crop [B, C, side, side] whose first pixel is (top, left)."""
    side = preprocessing.crop_size
    window = pixels[:, top : top + side, left : left + side]
    maps = to_float_chw(window.flip(2) if is_mirrored else window, preprocessing)
    return normalise(resized(maps, preprocessing.side), preprocessing, mean_image)


def center_crop(
    pixels: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None = None
) -> Tensor:
    """The middle of every stored picture: uint8 [B, S, S, 3] to float32 [B, C, side, side]."""
    pixels = pad(pixels, preprocessing.padding)
    offset = (pixels.shape[1] - preprocessing.crop_size) // 2
    return crop_and_normalize(pixels, offset, offset, preprocessing, mean_image)


def ten_crop(
    pixels: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None = None
) -> list[Tensor]:
    """Four corners and the centre, then each mirrored: ten times float32 [B, C, side, side].

    Source: Paper, section 4.1.
    """
    pixels = pad(pixels, preprocessing.padding)
    end = pixels.shape[1] - preprocessing.crop_size
    places = ((0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2))
    return [
        crop_and_normalize(pixels, top, left, preprocessing, mean_image, is_mirrored)
        for is_mirrored in (False, True)
        for top, left in places
    ]
