"""Training views: translation, scale, mirror, colour, contrast and noise, for a batch at once.

What is drawn is a function of the generator alone, so of (seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Augmentation
from alexnet.ops.library import LARGEST_SIDE, kernels
from alexnet.transforms.crops import normalise, pad, resized, to_float_chw


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Makes training views of stored pictures."""

    options: Augmentation
    preprocessing: Preprocessing
    color_principal_axes: Tensor
    """[3, 3], 0-255 scale: column j is the j-th principal colour times its standard deviation."""
    mean_image: Tensor | None = None
    """[C, side, side], or None where the mean is one colour."""

    def __call__(self, pixels: Tensor, generator: torch.Generator, epoch: int = 0) -> Tensor:
        """uint8 [B, S, S, 3] to float32 [B, C, side, side] in channels-last memory.

        `epoch` counts from 0.
        """
        options, rule = self.options, self.preprocessing
        pixels = pad(pixels, rule.padding)
        places = self._places(pixels, generator)
        is_coloured = not options.last_color_epoch or epoch < options.last_color_epoch
        sd = options.color_std if is_coloured else 0.0
        shifts = pca_color_jitter(len(pixels), self.color_principal_axes, sd, generator)
        built = kernels() if pixels.device.type == "cpu" else None
        if built and self._can_use_kernel(pixels):
            mean, divisor = self._mean_and_divisor()
            maps = built.views(pixels.contiguous(), places, shifts, mean, divisor, rule.side)
        else:
            maps = self._crops(pixels, places)
            if sd:
                maps += shifts[:, : maps.shape[1], None, None]
            if options.noise_std:
                maps += options.noise_std * torch.randn(
                    maps.shape, generator=generator, device=maps.device
                )
            normalise(maps, rule, self.mean_image)
        if options.contrast_std:
            maps *= _contrast(len(maps), options.contrast_std, generator)
        return maps

    @property
    def _is_scaled(self) -> bool:
        return self.options.min_scale < 1 or self.options.max_aspect_ratio > 1

    def _can_use_kernel(self, pixels: Tensor) -> bool:
        """Whether a kernel makes the views of such pictures."""
        rule = self.preprocessing
        is_smoothed = not self._is_scaled and rule.crop_size != rule.side
        is_small = max(pixels.shape[1], rule.side) <= LARGEST_SIDE
        return rule.channels == 3 and not is_smoothed and is_small and not self.options.noise_std

    def _places(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        stored, rule = pixels.shape[1], self.preprocessing
        if self._is_scaled:
            return random_resized_crop_boxes(
                len(pixels), stored, rule.side, self.options, generator
            )
        return random_crop_boxes(len(pixels), stored, rule.crop_size, self.options, generator)

    def _crops(self, pixels: Tensor, places: Tensor) -> Tensor:
        rule = self.preprocessing
        if self._is_scaled:
            return sampled(to_float_chw(pixels, rule), places, rule.side)
        return resized(to_float_chw(crop_integer(pixels, places, rule.crop_size), rule), rule.side)

    def _mean_and_divisor(self) -> tuple[Tensor, Tensor]:
        rule = self.preprocessing
        mean = torch.tensor(rule.mean, dtype=torch.float32)
        if self.mean_image is not None:
            mean = self.mean_image.permute(1, 2, 0).contiguous()
        return mean, torch.tensor(rule.std, dtype=torch.float32)


def random_crop_boxes(
    count: int, stored: int, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Where crops of `side` pixels lie in pictures of `stored`: float32 [count, 4].

    Of every view the x of its first column and the step to the next, the y of its first row and the
    step, in pixels; a mirrored one begins at the right, with a step of -1.

    Source: Paper, section 4.1; one place per picture, where the 2012 code used one for 32 pictures.
    """
    room, device = stored - side + 1, generator.device
    if options.crop == "center":
        top = left = torch.full((count,), (room - 1) // 2, device=device)
    else:
        top, left = torch.randint(room, (2, count, 1), generator=generator, device=device)[..., 0]
    is_mirrored = torch.zeros(count, dtype=torch.bool, device=device)
    if options.flip:
        is_mirrored = torch.rand(count, 1, generator=generator, device=device)[:, 0] < 0.5
    first = torch.where(is_mirrored, left + side - 1, left)
    step = torch.where(is_mirrored, -1.0, 1.0)
    return torch.stack((first, step, top, torch.ones_like(step)), 1).float()


def crop_integer(pixels: Tensor, places: Tensor, side: int) -> Tensor:
    """The pixels at whole places: uint8 [B, S, S, 3] to [B, side, side, 3]."""
    span = torch.arange(side, device=pixels.device)
    left, step, top, _ = places.long().T[..., None]
    rows, columns = top + span, left + step * span
    batch = torch.arange(len(pixels), device=pixels.device)
    return pixels[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def random_resized_crop_boxes(
    count: int, stored: int, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Where crops of random area and aspect lie, as `random_crop_boxes` has it; scaled to `side`.

    The area's root is uniform between the root of `min_scale` and 1.
    """
    device = generator.device
    scale, stretch, flip, x, y = torch.rand(5, count, generator=generator, device=device)
    least = options.min_scale**0.5
    scale = least + (1 - least) * scale
    stretch = torch.tensor(options.max_aspect_ratio, device=device) ** (stretch - 0.5)
    width, height = (scale * stretch).clamp(max=1), (scale / stretch).clamp(max=1)
    if options.crop == "center":
        x, y = torch.full_like(x, 0.5), torch.full_like(y, 0.5)
    mirror = torch.where(flip < 0.5, -1.0, 1.0) if options.flip else torch.ones_like(flip)
    across, down = width * mirror * (stored / side), height * (stored / side)
    # A window's middle is at (x, y) of the room that it leaves; its first pixel is at half of all
    # steps but one from there.
    middle_x = (stored * (1 + (2 * x - 1) * (1 - width)) - 1) / 2
    middle_y = (stored * (1 + (2 * y - 1) * (1 - height)) - 1) / 2
    half = (side - 1) / 2
    return torch.stack((middle_x - half * across, across, middle_y - half * down, down), 1)


def sampled(maps: Tensor, places: Tensor, side: int) -> Tensor:
    """Values between pixels, bilinear: float [B, C, S, S] to [B, C, side, side], channels last."""
    span, stored = torch.arange(side, device=maps.device), maps.shape[-1]
    left, across, top, down = places.T[..., None]
    x, y = (2 * (first + step * span) + 1 for first, step in ((left, across), (top, down)))
    grid = torch.empty(len(maps), side, side, 2, device=maps.device)
    grid[..., 0], grid[..., 1] = (x / stored - 1)[:, None, :], (y / stored - 1)[:, :, None]
    crops = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)


def pca_color_jitter(count: int, axes: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """One colour per picture to add to all its pixels: [count, 3], 0-255 scale; zeros for sd 0.

    The sum over the principal colours of (direction x deviation x a), a drawn from N(0, sd) once
    per use of a picture.

    Source: Paper, section 4.1, which prints the eigenvalue (a variance) where the 2012 code
    multiplies by its root. On the paper's 0-255 scale the variance would shift colours by hundreds
    of grey levels, so the root is used.
    """
    if not sd:
        return torch.zeros(count, 3, device=axes.device)
    a = torch.randn(count, 3, generator=generator, device=axes.device) * sd
    return a @ axes.T


def _contrast(count: int, sd: float, generator: torch.Generator) -> Tensor:
    draw = torch.randn(count, 1, 1, 1, generator=generator, device=generator.device)
    return (draw * sd).exp()
