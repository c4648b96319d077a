"""Training views: translation, scale, mirror, colour, contrast and noise, for a batch at once.

What is drawn is a function of the generator alone, so of (seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.preprocessing import Preprocessing
from alexnet.recipe import Augmentation
from alexnet.views import as_maps, normalise, padded, resized


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Makes training views of stored pictures."""

    options: Augmentation
    preprocessing: Preprocessing
    colour_axes: Tensor
    """[3, 3], 0-255 scale: column j is the j-th principal colour times its standard deviation."""
    mean_image: Tensor | None = None
    """[C, side, side], or None where the mean is one colour."""

    def __call__(self, pixels: Tensor, generator: torch.Generator, epoch: int = 0) -> Tensor:
        """uint8 [B, S, S, 3] to float32 [B, C, side, side] in channels-last memory.

        `epoch` counts from 0.
        """
        options = self.options
        maps = self._crops(padded(pixels, self.preprocessing.pad_pixels), generator)
        is_coloured = not options.last_colour_epoch or epoch < options.last_colour_epoch
        if options.colour_sd and is_coloured:
            maps += colour_shift(len(maps), self.colour_axes, options.colour_sd, generator)[
                :, : maps.shape[1]
            ]
        if options.noise_sd:
            maps += options.noise_sd * torch.randn(
                maps.shape, generator=generator, device=maps.device
            )
        normalise(maps, self.preprocessing, self.mean_image)
        if options.contrast_sd:
            maps *= _contrast(len(maps), options.contrast_sd, generator)
        return maps

    def _crops(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        options, rule = self.options, self.preprocessing
        if options.min_area < 1 or options.max_stretch > 1:
            maps = as_maps(pixels, self.preprocessing)
            return scaled_crops(maps, rule.side, options, generator)
        window = exact_crops(pixels, rule.crop_pixels, options, generator)
        return resized(as_maps(window, rule), rule.side)


def exact_crops(
    pixels: Tensor, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Crops of `side` pixels, each at its own place, half of them mirrored.

    uint8 [B, S, S, 3] to [B, side, side, 3] in one gather; every value is a stored pixel.

    Source: Paper, section 4.1; one place per picture, where the 2012 code used one for 32 pictures.
    """
    count, room = len(pixels), pixels.shape[1] - side + 1
    if options.crop == "centre":
        top = left = torch.full((count, 1), (room - 1) // 2, device=pixels.device)
    else:
        place = torch.randint(room, (2, count, 1), generator=generator, device=pixels.device)
        top, left = place[0], place[1]
    span = torch.arange(side, device=pixels.device)
    rows, columns = top + span, left + span
    if options.flip:
        is_flipped = torch.rand(count, 1, generator=generator, device=pixels.device) < 0.5
        columns = torch.where(is_flipped, columns.flip(1), columns)
    batch = torch.arange(count, device=pixels.device)
    return pixels[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def scaled_crops(
    maps: Tensor, side: int, options: Augmentation, generator: torch.Generator
) -> Tensor:
    """Crops of random place, area and aspect, scaled to `side` pixels.

    float [B, C, S, S] to [B, C, side, side]; bilinear, no smoothing before it. The area's root is
    uniform between the root of `min_area` and 1.
    """
    count, device = len(maps), maps.device
    scale, stretch, flip, x, y = torch.rand(5, count, generator=generator, device=device)
    least = options.min_area**0.5
    scale = least + (1 - least) * scale
    stretch = torch.tensor(options.max_stretch, device=device) ** (stretch - 0.5)
    width, height = (scale * stretch).clamp(max=1), (scale / stretch).clamp(max=1)
    if options.crop == "centre":
        x, y = torch.full_like(x, 0.5), torch.full_like(y, 0.5)
    mirror = torch.where(flip < 0.5, -1.0, 1.0) if options.flip else torch.ones_like(flip)
    place = torch.zeros(count, 2, 3, device=device)
    place[:, 0, 0], place[:, 1, 1] = width * mirror, height
    place[:, 0, 2], place[:, 1, 2] = (2 * x - 1) * (1 - width), (2 * y - 1) * (1 - height)
    grid = F.affine_grid(place, [count, maps.shape[1], side, side], align_corners=False)
    crops = F.grid_sample(maps, grid, padding_mode="reflection", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)


def colour_shift(count: int, axes: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """One colour per picture to add to all its pixels: [count, 3, 1, 1], 0-255 scale.

    The sum over the principal colours of (direction x deviation x a), a drawn from N(0, sd) once
    per use of a picture.

    Source: Paper, section 4.1, which prints the eigenvalue (a variance) where the 2012 code
    multiplies by its root. On the paper's 0-255 scale the variance would shift colours by hundreds
    of grey levels, so the root is used.
    """
    a = torch.randn(count, 3, generator=generator, device=axes.device) * sd
    return (a @ axes.T)[:, :, None, None]


def _contrast(count: int, sd: float, generator: torch.Generator) -> Tensor:
    draw = torch.randn(count, 1, 1, 1, generator=generator, device=generator.device)
    return (draw * sd).exp()


def cut_mix(
    views: Tensor, labels: Tensor, classes: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """In a `share` of the steps, put a patch of another picture into every view.

    One patch of random area and place for the whole batch; the other picture is drawn per view.

    Args:
        views: [B, C, h, w]; stays as it is.
        labels: int64 [B].
        classes: how many there are.
        share: probability, 0 to 1, that this step is mixed.
        generator: decides everything.

    Returns:
        The views; targets float [B, classes], the shares of the area that belong to each class;
        and whether anything was mixed.

    Source: Yun et al. 2019, CutMix, with the area uniform from 0 to 1.
    """
    targets = F.one_hot(labels, classes).float()
    chance, area, top, left = torch.rand(4, generator=generator, device=views.device).tolist()
    if chance >= share:
        return views, targets, False
    sides = [round(side * area**0.5) for side in views.shape[2:]]
    y, x = (
        int(place * (side - patch + 1))
        for place, side, patch in zip((top, left), views.shape[2:], sides, strict=True)
    )
    others = torch.randperm(len(views), generator=generator, device=views.device)
    mixed, rows, columns = views.clone(), slice(y, y + sides[0]), slice(x, x + sides[1])
    mixed[:, :, rows, columns] = views[others, :, rows, columns]
    taken = sides[0] * sides[1] / (views.shape[2] * views.shape[3])
    return mixed, (1 - taken) * targets + taken * targets[others], True
