"""Augmentations that mix the images of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cutmix(
    images: Tensor, labels: Tensor, num_classes: int, p: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """With probability `p`, paste a patch of another image of the batch into every image.

    The patch has one random area and position for the whole batch; the other image is drawn for
    each image.

    Args:
        images: [B, C, h, w]; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        p: probability, 0 to 1, that this batch is mixed.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], the fraction of the area that belongs to each
        class; and whether the batch was mixed.

    Source: Yun et al. 2019, CutMix, with the area uniform from 0 to 1.
    """
    targets = F.one_hot(labels, num_classes).float()
    chance, area, top, left = torch.rand(4, generator=generator, device=images.device).tolist()
    if chance >= p:
        return images, targets, False
    height, width = (round(side * area**0.5) for side in images.shape[2:])
    y = int(top * (images.shape[2] - height + 1))
    x = int(left * (images.shape[3] - width + 1))
    others = torch.randperm(len(images), generator=generator, device=images.device)
    mixed, rows, columns = images.clone(), slice(y, y + height), slice(x, x + width)
    mixed[:, :, rows, columns] = images[others, :, rows, columns]
    fraction = height * width / (images.shape[2] * images.shape[3])
    return mixed, (1 - fraction) * targets + fraction * targets[others], True
