"""Stored images as network inputs: the centre crop and the paper's ten crops, for evaluation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import require
from alexnet.ops.library import load_kernels
from alexnet.ops.resize_crop import box_of, resize_crop
from alexnet.transforms.checks import check_images, check_stored

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601, as Pillow converts)."""


def to_float_chw(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Convert uint8 [B, H, W, 3] to float32 [B, C, H, W], channels last, on the 0-255 scale."""
    images = pixels.permute(0, 3, 1, 2).float()
    if preprocessing.channels == 1:
        weights = images.new_tensor(LUMA_WEIGHTS)[:, None, None]
        return (images * weights).sum(1, keepdim=True)
    return images


def to_uint8_images(images: Tensor) -> list[np.ndarray]:
    """Round images float [B, C, h, w] on the 0-255 scale to uint8 [h, w, 3], or grey [h, w]."""
    pixels = images.round().clamp(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    return list(pixels if pixels.shape[3] == 3 else pixels[..., 0])


def normalize(images: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None) -> Tensor:
    """Compute (x - mean) / std in place: float [B, C, h, w] on the 0-255 scale.

    `mean_image` [C, h, w], of any type, is the centre crop of the mean image and is subtracted at
    every crop position.

    Raises:
        UsageError: the images are no such tensor, or have other channels than the preprocessing.

    Source: Code2012; the paper's text would crop the mean image as the image is cropped.
    """
    check_images(images, (preprocessing.channels,))
    mean, std = _mean_and_std(images, preprocessing)
    return images.sub_(mean if mean_image is None else mean_image).div_(std)


def denormalize(images: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None) -> Tensor:
    """The inverse of `normalize`: float [B, C, h, w] back on the 0-255 scale, as a new tensor.

    Where images are smaller than `mean_image`, its top left corner is used.

    Raises:
        UsageError: the images are no such tensor, or have other channels than the preprocessing.
    """
    check_images(images, (preprocessing.channels,))
    mean, std = _mean_and_std(images, preprocessing)
    if mean_image is not None:
        mean = mean_image[:, : images.shape[2], : images.shape[3]].to(images)
    return images * std + mean


def _mean_and_std(images: Tensor, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Mean and std of the preprocessing: [C, 1, w] each, on the device of `images`.

    They are as wide as the images, and in channels-last memory as these are, so that torch takes a
    row at once and not the three numbers of a pixel: half the time of a center crop.
    """
    c, width = preprocessing.channels, images.shape[3]
    rows = _rows if images.device.type == "cpu" else _kept_rows
    mean, std = (
        rows(tuple(values[:c]), width, images.dtype, images.device)
        for values in (preprocessing.mean, preprocessing.std)
    )
    return mean, std


def _rows(
    values: tuple[float, ...], width: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """One value per channel in each column: [C, 1, width]."""
    with torch.inference_mode(mode=False):  # a tensor of inference mode could not be used outside
        return torch.tensor(values, dtype=dtype, device=device).repeat(width, 1).T[:, None]


_kept_rows = lru_cache(maxsize=16)(_rows)
"""`_rows` with a cache, so that the program need not wait for the GPU at every copy."""


def resize(images: Tensor, side: int) -> Tensor:
    """Resize float [B, C, h, w] to [B, C, side, side]; bilinear, antialiased when shrinking."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def pad(pixels: Tensor, padding: int) -> Tensor:
    """Pad uint8 [B, H, W, 3] with `padding` rows and columns of zeros on every side."""
    return F.pad(pixels, (0, 0, *(padding,) * 4)) if padding else pixels


def crop_and_normalize(
    pixels: Tensor,
    top: int,
    left: int,
    preprocessing: Preprocessing,
    mean_image: Tensor | None,
    flip: bool = False,
) -> Tensor:
    """The normalized crop [B, C, side, side] whose first pixel is (top, left)."""
    size = preprocessing.crop_size
    if size != preprocessing.input_side:
        box = pixels.new_tensor(box_of(top, left, size, flip), dtype=torch.float32)
        boxes = box.repeat(len(pixels), 1)
        resized = resized_crops(pixels, boxes, preprocessing, mean_image)
        if resized is not None:
            return resized
    crop = pixels[:, top : top + size, left : left + size]
    images = to_float_chw(crop.flip(2) if flip else crop, preprocessing)
    return normalize(resize(images, preprocessing.input_side), preprocessing, mean_image)


def resized_crops(
    pixels: Tensor,
    boxes: Tensor,
    preprocessing: Preprocessing,
    mean_image: Tensor | None,
    shifts: Tensor | None = None,
) -> Tensor | None:
    """Crops resized from `crop_size` pixels and normalized, by a C kernel.

    Args:
        pixels: uint8 [B, S, S, 3].
        boxes: [B, 4], as `random_crop_boxes` has them.
        preprocessing: preprocessing of the network.
        mean_image: [3, side, side], subtracted in place of `preprocessing.mean`.
        shifts: [B, 3], 0-255 scale, added to every pixel of a crop.

    Returns:
        float32 [B, 3, side, side] in channels-last memory; None where there is no kernel for them.

    Raises:
        ConfigError: the mean image has another shape.
    """
    kernels, side = load_kernels(), preprocessing.input_side
    if kernels is None or pixels.device.type != "cpu" or preprocessing.channels != 3:
        return None
    if shifts is None:
        shifts = boxes.new_zeros(len(pixels), 3)
    mean, std = (boxes.new_tensor(values) for values in (preprocessing.mean, preprocessing.std))
    mean = mean.expand(side, side, 3) if mean_image is None else mean_pixels(mean_image, side)
    crops = boxes.new_empty(len(pixels), side, side, 3)
    colors = mean.contiguous(), std
    size = preprocessing.crop_size
    resize_crop(kernels, pixels.contiguous(), boxes, shifts, size, *colors, crops)
    return crops.permute(0, 3, 1, 2)


def mean_pixels(mean_image: Tensor, side: int) -> Tensor:
    """A mean image [3, side, side] of any type, as the C kernels take it: float32 [side, side, 3].

    Raises:
        ConfigError: it has another shape.
    """
    wanted, found = [3, side, side], list(mean_image.shape)
    require(found == wanted, f"the mean image must be {wanted}, as the crops, not {found}")
    return mean_image.float().permute(1, 2, 0).contiguous()


def center_crop(
    pixels: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None = None
) -> Tensor:
    """The centre of every stored image: uint8 [B, S, S, 3] to float32 [B, C, side, side].

    Raises:
        UsageError: the images are no such tensor, or smaller than the crop.
        ConfigError: the mean image is not [C, side, side].
    """
    check_stored(pixels, preprocessing)
    pixels = pad(pixels, preprocessing.padding)
    offset = (pixels.shape[1] - preprocessing.crop_size) // 2
    return crop_and_normalize(pixels, offset, offset, preprocessing, mean_image)


def ten_crop(
    pixels: Tensor, preprocessing: Preprocessing, mean_image: Tensor | None = None
) -> list[Tensor]:
    """The four corners and the centre, then each flipped: ten times float32 [B, C, side, side].

    Raises:
        UsageError: the images are no such tensor, or smaller than a crop.
        ConfigError: the mean image is not [C, side, side].

    Source: Paper, section 4.1.
    """
    check_stored(pixels, preprocessing)
    pixels = pad(pixels, preprocessing.padding)
    end = pixels.shape[1] - preprocessing.crop_size
    corners = ((0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2))
    return [
        crop_and_normalize(pixels, top, left, preprocessing, mean_image, flip)
        for flip in (False, True)
        for top, left in corners
    ]
