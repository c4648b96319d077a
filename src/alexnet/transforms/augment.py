"""Augmentation for training, a batch at once: crop, flip, colour, contrast and noise.

Every random number comes from the generator that is passed in, so that the result is a function of
(seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.ops.library import load_kernels
from alexnet.transforms.applied import Applied
from alexnet.transforms.crops import normalize, pad, resize, to_float_chw
from alexnet.transforms.random_crops import (
    crop_bilinear,
    crop_integer,
    random_crop_boxes,
    random_resized_crop_boxes,
)

MAX_KERNEL_SIDE = 4096
"""Side of images and crops, in pixels, for which the C kernel has room on the stack."""


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Makes network inputs for training from stored images."""

    options: Augmentation
    preprocessing: Preprocessing
    color_principal_axes: Tensor
    """[3, 3], 0-255 scale: column j is the j-th principal axis times its standard deviation."""
    mean_image: Tensor | None = None
    """[C, side, side], or None where the mean is one colour."""
    use_kernel: bool = True
    """Use the C kernel where there is one for these options; it gives the same values."""

    def __call__(
        self,
        pixels: Tensor,
        generator: torch.Generator,
        epoch: int = 0,
        applied: Applied | None = None,
    ) -> Tensor:
        """uint8 [B, S, S, 3] to float32 [B, C, side, side] in channels-last memory.

        `epoch` counts from 0. What was chosen for each image is written into `applied`.
        """
        options = self.options
        pixels = pad(pixels, self.preprocessing.padding)
        boxes = self._crop_boxes(pixels, generator)
        last = options.last_color_epoch
        has_color = last is None or epoch < last
        std = options.color_std if has_color else 0.0
        shifts = pca_color_jitter(len(pixels), self.color_principal_axes, std, generator)
        images = self._run_kernel(pixels, boxes, shifts)
        if images is None:
            images = self._crop(pixels, boxes)
            if std:
                images += shifts[:, : images.shape[1], None, None]
            if options.noise_std:
                images += options.noise_std * torch.randn(
                    images.shape, generator=generator, device=images.device
                )
            normalize(images, self.preprocessing, self.mean_image)
        contrast = None
        if options.contrast_std:
            contrast = _contrast(len(images), options.contrast_std, generator)
            images *= contrast
        if applied:
            applied.boxes, applied.color_shifts, applied.contrast = boxes, shifts, contrast
            applied.crop_size, applied.padding = self._crop_size, self.preprocessing.padding
            applied.noise_std = options.noise_std
        return images

    @property
    def _is_scaled(self) -> bool:
        """Whether crops have random areas and aspect ratios and are resized."""
        return self.options.min_scale < 1 or self.options.max_aspect_ratio > 1

    @property
    def _crop_size(self) -> int:
        """Samples along a side of a crop, before it is resized to the network's input."""
        return self.preprocessing.side if self._is_scaled else self.preprocessing.crop_size

    def _crop_boxes(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        sample_boxes = random_resized_crop_boxes if self._is_scaled else random_crop_boxes
        return sample_boxes(len(pixels), pixels.shape[1], self._crop_size, self.options, generator)

    def _crop(self, pixels: Tensor, boxes: Tensor) -> Tensor:
        preprocessing, side = self.preprocessing, self.preprocessing.side
        if self._is_scaled:
            return crop_bilinear(to_float_chw(pixels, preprocessing), boxes, side)
        crops = crop_integer(pixels, boxes, preprocessing.crop_size)
        return resize(to_float_chw(crops, preprocessing), side)

    def _can_use_kernel(self, pixels: Tensor) -> bool:
        """Whether the kernel supports these options: RGB, no noise, no antialiasing, not large."""
        preprocessing = self.preprocessing
        is_antialiased = not self._is_scaled and preprocessing.crop_size != preprocessing.side
        is_small = max(pixels.shape[1], preprocessing.side) <= MAX_KERNEL_SIDE
        has_noise = bool(self.options.noise_std)
        return preprocessing.channels == 3 and is_small and not is_antialiased and not has_noise

    def _run_kernel(self, pixels: Tensor, boxes: Tensor, shifts: Tensor) -> Tensor | None:
        """Crop, shift and normalize in one pass on the CPU; None where no kernel is used."""
        is_wanted = self.use_kernel and pixels.device.type == "cpu" and self._can_use_kernel(pixels)
        kernels = load_kernels() if is_wanted else None
        if kernels is None:
            return None
        side = self.preprocessing.side
        mean = torch.tensor(self.preprocessing.mean, dtype=torch.float32)
        if self.mean_image is not None:
            mean = self.mean_image.permute(1, 2, 0).contiguous()
        std = torch.tensor(self.preprocessing.std, dtype=torch.float32)
        crops = pixels.new_empty((len(pixels), side, side, 3), dtype=torch.float32)
        kernels.call(
            "crop_normalize",
            *(pixels.contiguous(), boxes, shifts, mean, std, crops),
            *(len(pixels), pixels.shape[1], side, mean.ndim == 3),
        )
        return crops.permute(0, 3, 1, 2)


def pca_color_jitter(count: int, axes: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """One colour per image to add to all its pixels: [count, 3], 0-255 scale; zeros for std 0.

    The sum over the principal axes of (direction x standard deviation x a), where a is drawn from
    N(0, std) for each axis each time an image is used ("fancy PCA").

    Source: Paper, section 4.1, which prints the eigenvalue (a variance) where the 2012 code
    multiplies by its square root. On the paper's 0-255 scale the variance would shift colours by
    hundreds of grey levels, so the square root is used.
    """
    if not std:
        return torch.zeros(count, 3, device=axes.device)
    a = torch.randn(count, 3, generator=generator, device=axes.device) * std
    return a @ axes.T


def _contrast(count: int, std: float, generator: torch.Generator) -> Tensor:
    """A log-normal factor per image: [count, 1, 1, 1]."""
    sample = torch.randn(count, 1, 1, 1, generator=generator, device=generator.device)
    return (sample * std).exp()
