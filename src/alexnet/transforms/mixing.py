"""Augmentations that mix the images of a batch, and their labels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.augmentation import Augmentation


def mix(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    options: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, bool]:
    """CutMix with its probability, else mixup if the options have it; never both.

    Args:
        images: [B, C, h, w]; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        options: gives `cutmix` and `mixup`.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], whose rows add up to 1; and whether the batch
        was mixed.
    """
    images, targets, is_mixed = cutmix(images, labels, num_classes, options.cutmix, generator)
    if is_mixed:
        return images, targets, is_mixed
    return mixup(images, labels, num_classes, options.mixup, generator)


def mixup(
    images: Tensor, labels: Tensor, num_classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """A weighted mean of every image and another one of the batch.

    The weight is drawn from Beta(alpha, alpha), one for the whole batch; the other image is drawn
    for each image.

    Args:
        images: [B, C, h, w]; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        alpha: of the beta distribution; 0: nothing is mixed, and no random number is drawn.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], the weight of each class; and whether the batch
        was mixed.

    Source: Zhang et al. 2018, mixup, with one weight for a batch as in the authors' program.
    """
    targets = F.one_hot(labels, num_classes).float()
    if not alpha:
        return images, targets, False
    device = images.device
    seed = int(torch.randint(2**62, (), generator=generator, device=device))
    weight = float(np.random.default_rng(seed).beta(alpha, alpha))
    others = torch.randperm(len(images), generator=generator, device=device)
    return (
        images.lerp(images[others], 1 - weight),
        targets.lerp(targets[others], 1 - weight),
        True,
    )


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
