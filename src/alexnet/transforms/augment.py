"""Augmentation for training, a batch at once: crops, flips, RandAugment, colour, erasing, ..

Every random number comes from the generator that is passed in, so that the result is a function of
(seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.transforms.affine import crop_affine
from alexnet.transforms.applied import Applied
from alexnet.transforms.checks import check_stored
from alexnet.transforms.crop_kernel import MAX_KERNEL_SIDE, kernel_crops
from alexnet.transforms.crops import (
    mean_pixels,
    normalize,
    pad,
    resize,
    resized_crops,
    to_float_chw,
)
from alexnet.transforms.erasing import erase_boxes, random_erasing_boxes
from alexnet.transforms.randaugment import (
    apply_color_operations,
    choose_operations,
)
from alexnet.transforms.random_crops import (
    crop_bilinear,
    crop_integer,
    random_crop_boxes,
    random_resized_crop_boxes,
)


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Makes network inputs for training from stored images."""

    options: Augmentation
    preprocessing: Preprocessing
    color_principal_axes: Tensor
    """[3, 3], 0-255 scale: column j is the j-th principal axis times its standard deviation."""
    mean_image: Tensor | None = None
    """[C, side, side] of any type, or None where the mean is one colour."""
    use_kernel: bool = True
    """Use the C kernel where there is one for these options; it gives the same values."""

    def __call__(self, pixels: Tensor, generator: torch.Generator, epoch: int = 0) -> Tensor:
        """Augment images: uint8 [B, S, S, 3] to float32 [B, C, side, side] in channels-last memory.

        `epoch` counts from 0.

        Raises:
            UsageError: the images are no such tensor, or smaller than a crop.
            ConfigError: the mean image is not [C, side, side].
        """
        return self.apply(pixels, generator, epoch)[0]

    def apply(
        self, pixels: Tensor, generator: torch.Generator, epoch: int = 0
    ) -> tuple[Tensor, Applied]:
        """The augmented images, as by a call, and what was done to each.

        Raises:
            UsageError: the images are no such tensor, or smaller than a crop.
            ConfigError: the mean image is not [C, side, side].
        """
        check_stored(pixels, self.preprocessing)
        applied = self.choose(len(pixels), pixels.shape[1], generator, epoch)
        return self.run(pixels, applied), applied

    def choose(self, count: int, size: int, generator: torch.Generator, epoch: int = 0) -> Applied:
        """Make all random choices for `count` stored images of `size` pixels."""
        options, device = self.options, generator.device
        size += 2 * self.preprocessing.padding
        boxes = self._crop_boxes(count, size, generator)
        has_color = options.last_color_epoch is None or epoch < options.last_color_epoch
        std = options.color_std if has_color else 0.0
        applied = Applied(
            boxes=boxes,
            size=size,
            crop_size=self._crop_size,
            padding=self.preprocessing.padding,
            color_shifts=pca_color_jitter(count, self.color_principal_axes, std, generator),
            has_color=std > 0,
            noise_std=options.noise_std,
        )
        if options.rotation:
            uniform = torch.rand(count, generator=generator, device=device)
            applied.angles = options.rotation * (2 * uniform - 1)
        if options.rand_augment:
            applied.operations = choose_operations(count, *options.rand_augment, generator)
        self._choose_for_crops(count, applied, generator)
        return applied

    def _choose_for_crops(self, count: int, applied: Applied, generator: torch.Generator) -> None:
        """Make the random choices for the pixels of the crops: noise, contrast and erasing."""
        options, preprocessing, device = self.options, self.preprocessing, generator.device
        side = preprocessing.input_side
        if options.noise_std:
            shape = (count, preprocessing.channels, side, side)
            applied.noise = options.noise_std * torch.randn(
                shape, generator=generator, device=device
            )
        if options.contrast_std:
            applied.contrast = _contrast(count, options.contrast_std, generator)
        if options.random_erasing:
            applied.erased = random_erasing_boxes(
                count, side, side, options.random_erasing, generator
            )

    def run(self, pixels: Tensor, applied: Applied) -> Tensor:
        """Augment the images as `choose` has chosen: uint8 [B, S, S, 3] to what a call returns.

        Raises:
            UsageError: the images are no such tensor, or were chosen for others in number or size.
            ConfigError: the mean image is not [C, side, side].
        """
        check_stored(pixels, self.preprocessing)
        pixels = pad(pixels, self.preprocessing.padding)
        applied.check_fits(pixels)
        images = self._run_kernel(pixels, applied)
        if images is None:
            images = self._run_torch(pixels, applied)
        if applied.contrast is not None:
            images *= applied.contrast
        if applied.erased is not None:
            erase_boxes(images, applied.erased)
        return images

    def _run_torch(self, pixels: Tensor, applied: Applied) -> Tensor:
        """Crop, change and normalize in operations of torch."""
        images = self._crop(pixels, applied)
        if applied.operations:
            images = images.contiguous()  # these operations are faster channel by channel
            apply_color_operations(images, applied.operations)
        if applied.has_color:
            images += applied.color_shifts[:, : images.shape[1], None, None]
        if applied.noise is not None:
            images += applied.noise
        normalize(images, self.preprocessing, self.mean_image)
        return images.contiguous(memory_format=torch.channels_last)

    @property
    def _is_scaled(self) -> bool:
        """Whether crops have random areas and aspect ratios and are resized."""
        return self.options.min_scale < 1 or self.options.max_aspect_ratio > 1

    @property
    def _crop_size(self) -> int:
        """Samples along a side of a crop, before it is resized to the network's input."""
        return self.preprocessing.input_side if self._is_scaled else self.preprocessing.crop_size

    def _crop_boxes(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        sample_boxes = random_resized_crop_boxes if self._is_scaled else random_crop_boxes
        return sample_boxes(count, size, self._crop_size, self.options, generator)

    def _crop(self, pixels: Tensor, applied: Applied) -> Tensor:
        """Crops on the 0-255 scale, rotated and distorted: [B, C, side, side]."""
        preprocessing, side = self.preprocessing, self.preprocessing.input_side
        if applied.operations and self._can_use_kernel(pixels, applied):
            zero, one = torch.zeros(3), torch.ones(3)
            shifts = torch.zeros_like(applied.color_shifts)
            crops = kernel_crops(pixels, applied, side, self._fill_color, shifts, zero, one)
            if crops is not None:
                return crops
        size, boxes = self._crop_size, applied.boxes
        if applied.is_affine:
            images = to_float_chw(pixels, preprocessing)
            return resize(crop_affine(images, applied.matrices(), size, self._fill_color), side)
        if self._is_scaled:
            return crop_bilinear(to_float_chw(pixels, preprocessing), boxes, side)
        return resize(to_float_chw(crop_integer(pixels, boxes, size), preprocessing), side)

    @property
    def _fill_color(self) -> Tensor:
        """The colour outside the stored image: the mean colour, [C] on the 0-255 scale."""
        if self.mean_image is not None:
            return self.mean_image.float().mean((1, 2))
        mean = self.preprocessing.mean[: self.preprocessing.channels]
        device = self.color_principal_axes.device
        return torch.tensor(mean, dtype=torch.float32, device=device)

    def _can_use_kernel(self, pixels: Tensor, applied: Applied) -> bool:
        """Whether a kernel can crop: RGB on the CPU, no noise, not large.

        Crops that are rotated or distorted and then resized are left to torch.
        """
        side = self.preprocessing.input_side
        is_small = max(pixels.shape[1], side) <= MAX_KERNEL_SIDE
        is_plain = self.preprocessing.channels == 3 and not self.options.noise_std
        is_wanted = self.use_kernel and pixels.device.type == "cpu"
        is_one_step = applied.crop_size == side or not applied.is_affine
        return is_wanted and is_small and is_one_step and is_plain

    def _run_kernel(self, pixels: Tensor, applied: Applied) -> Tensor | None:
        """Crop, shift and normalize in one pass on the CPU; None where no kernel is used."""
        if applied.operations or not self._can_use_kernel(pixels, applied):
            return None
        preprocessing, side, shifts = (
            self.preprocessing,
            self.preprocessing.input_side,
            applied.color_shifts,
        )
        if applied.crop_size != side:
            return resized_crops(pixels, applied.boxes, preprocessing, self.mean_image, shifts)
        mean = torch.tensor(preprocessing.mean, dtype=torch.float32)
        if self.mean_image is not None:
            mean = mean_pixels(self.mean_image, side)
        std = torch.tensor(preprocessing.std, dtype=torch.float32)
        fill = self._fill_color if applied.is_affine else None
        return kernel_crops(pixels, applied, side, fill, shifts, mean, std)


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
    return a @ axes.T.to(a.dtype)


def _contrast(count: int, std: float, generator: torch.Generator) -> Tensor:
    """A log-normal factor per image: [count, 1, 1, 1]."""
    sample = torch.randn(count, 1, 1, 1, generator=generator, device=generator.device)
    return (sample * std).exp()
