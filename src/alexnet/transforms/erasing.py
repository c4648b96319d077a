"""Random erasing: a rectangle of some images becomes the mean colour."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.transforms.checks import check_images

MIN_AREA, MAX_AREA = 0.02, 0.4
"""Smallest and largest area of the rectangle, as a fraction of the image."""
MAX_ASPECT_RATIO = 1 / 0.3
ATTEMPTS = 10
"""Rectangles drawn for an image, of which the first that fits into it is taken."""


def random_erasing(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """The images, each with probability `p` with a random rectangle set to 0.

    Args:
        images: normalized, so that 0 is the mean colour: [B, C, h, w]; not changed.
        p: probability, 0 to 1.
        generator: source of all random numbers.

    Raises:
        UsageError: the images are not float [B, C, h, w].
    """
    check_images(images)
    erased, (height, width) = images.clone(), images.shape[2:]
    erase_boxes(erased, random_erasing_boxes(len(images), height, width, p, generator))
    return erased


def random_erasing_boxes(
    count: int, height: int, width: int, p: float, generator: torch.Generator
) -> Tensor:
    """A rectangle for each image, with probability `p`: int64 [count, 4].

    It is top, left, height, width in pixels; height and width are 0 where nothing is erased. The
    area is uniform, and so are the logarithm of the aspect ratio and the position.

    Source: Zhong et al. 2017, Random erasing, with its limits. Departure: the paper's aspect ratio
    itself is uniform from 0.3 to 3.3, which makes three of four rectangles taller than wide; the
    logarithm is torchvision's and timm's.
    """
    device = generator.device
    area, aspect = torch.rand(2, count, ATTEMPTS, generator=generator, device=device)
    area = (MIN_AREA + (MAX_AREA - MIN_AREA) * area) * (height * width)
    aspect = torch.full((), MAX_ASPECT_RATIO, device=device) ** (2 * aspect - 1)
    heights, widths = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    first = ((heights <= height) & (widths <= width)).int().argmax(1, keepdim=True)
    chance, top, left = torch.rand(3, count, generator=generator, device=device)
    h, w = (
        torch.where(chance < p, sides.gather(1, first)[:, 0].clamp(1, limit), 0)
        for sides, limit in ((heights, height), (widths, width))
    )
    return torch.stack((top * (height - h + 1), left * (width - w + 1), h, w), 1).long()


def erase_boxes(images: Tensor, boxes: Tensor) -> None:
    """Set rectangles of normalized images to 0, which is the mean colour, in place.

    Args:
        images: [B, C, h, w].
        boxes: from `random_erasing_boxes`.
    """
    erased = (boxes[:, 2] > 0).nonzero()[:, 0]
    top, left, height, width = boxes[erased].T[..., None]
    rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
    in_rows = (rows >= top) & (rows < top + height)
    in_columns = (columns >= left) & (columns < left + width)
    images[erased] *= ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])
