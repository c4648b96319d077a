"""Augmentations that mix the images of a batch, and their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.transforms.checks import check_batch, check_images, check_labels


@dataclass(frozen=True, eq=False)
class Mixing:
    """How the images of a batch are mixed, each with another image of the batch."""

    others: Tensor
    """The index in the batch of the other image of each: int64 [B]."""
    fraction: float
    """Fraction of the other image in the target, 0 to 1; the image itself has the rest."""
    patch: tuple[slice, slice] | None = None
    """Rows and columns that CutMix takes from the other image; None: mixup."""

    def images(self, images: Tensor, others: Tensor) -> Tensor:
        """The images [n, C, h, w] mixed with `others`, their other images; neither is changed.

        Without a patch they may be of any shape [n, ...].
        """
        if self.patch is None:
            return images.lerp(others, self.fraction)
        mixed, (rows, columns) = images.clone(), self.patch
        mixed[:, :, rows, columns] = others[:, :, rows, columns]
        return mixed

    def targets(self, targets: Tensor) -> Tensor:
        """The class probabilities of the whole batch, [B, num_classes], mixed as the images are."""
        if self.patch is None:
            return targets.lerp(targets[self.others], self.fraction)
        return (1 - self.fraction) * targets + self.fraction * targets[self.others]


def choose_mixing(
    count: int, height: int, width: int, options: Augmentation, generator: torch.Generator
) -> Mixing | None:
    """Choose CutMix with its probability, else mixup if the options have it; None: neither.

    Args:
        count: number of images in the batch.
        height: height of the images.
        width: width of the images.
        options: gives `cutmix` and `mixup`.
        generator: source of all random numbers.
    """
    return _choose_cutmix(count, height, width, options.cutmix, generator) or _choose_mixup(
        count, options.mixup, generator
    )


def _choose_mixup(count: int, alpha: float, generator: torch.Generator) -> Mixing | None:
    if not alpha:
        return None
    device = generator.device
    seed = int(torch.randint(2**62, (), generator=generator, device=device))
    weight = float(np.random.default_rng(seed).beta(alpha, alpha))
    return Mixing(torch.randperm(count, generator=generator, device=device), 1 - weight)


def _choose_cutmix(
    count: int, image_height: int, image_width: int, p: float, generator: torch.Generator
) -> Mixing | None:
    device = generator.device
    drawn = torch.rand(4, generator=generator, device=device)
    if not p:
        return None  # without a wait for the GPU
    chance, area, top, left = drawn.tolist()
    if chance >= p:
        return None
    height, width = (round(side * area**0.5) for side in (image_height, image_width))
    y, x = int(top * (image_height - height + 1)), int(left * (image_width - width + 1))
    others = torch.randperm(count, generator=generator, device=device)
    fraction = height * width / (image_height * image_width)
    return Mixing(others, fraction, (slice(y, y + height), slice(x, x + width)))


def _apply(
    mixing: Mixing | None, images: Tensor, labels: Tensor, num_classes: int
) -> tuple[Tensor, Tensor, bool]:
    check_labels(labels, len(images))
    targets = F.one_hot(labels, num_classes).float()
    if mixing is None:
        return images, targets, False
    return mixing.images(images, images[mixing.others]), mixing.targets(targets), True


def mix(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    options: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, bool]:
    """Apply CutMix with its probability, else mixup if the options have it; never both.

    Args:
        images: [B, C, h, w], float for mixup; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        options: gives `cutmix` and `mixup`.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], whose rows add up to 1; and whether the batch
        was mixed.

    Raises:
        UsageError: the images are not [B, C, h, w], or not float and the options have mixup; or
            there are more or fewer labels.
    """
    check_images(images, any_dtype=not options.mixup)
    height, width = images.shape[2:]
    mixing = choose_mixing(len(images), height, width, options, generator)
    return _apply(mixing, images, labels, num_classes)


def mixup(
    images: Tensor, labels: Tensor, num_classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """A weighted mean of every image and another one of the batch.

    The weight is drawn from Beta(alpha, alpha), one for the whole batch; the other image is drawn
    for each image.

    Args:
        images: float [B, ...], such as images, feature maps, embeddings or audio; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        alpha: parameter of the beta distribution; 0: nothing is mixed, no random number is drawn.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], the weight of each class; and whether the batch
        was mixed.

    Raises:
        UsageError: the images are not float [B, ...], or there are more or fewer labels.

    Source: Zhang et al. 2018, mixup, with one weight for a batch as in the authors' program.
    """
    check_batch(images)
    return _apply(_choose_mixup(len(images), alpha, generator), images, labels, num_classes)


def cutmix(
    images: Tensor, labels: Tensor, num_classes: int, p: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """With probability `p`, paste a patch of another image of the batch into every image.

    The patch has one random area and position for the whole batch; the other image is drawn for
    each image.

    Args:
        images: [B, C, h, w] of any type; not changed.
        labels: int64 [B].
        num_classes: number of classes.
        p: probability, 0 to 1, that this batch is mixed.
        generator: source of all random numbers.

    Returns:
        The images; targets float [B, num_classes], the fraction of the area that belongs to each
        class; and whether the batch was mixed.

    Raises:
        UsageError: the images are not [B, C, h, w], or there are more or fewer labels.

    Source: Yun et al. 2019, CutMix, with the area uniform from 0 to 1.
    """
    check_images(images, any_dtype=True)
    height, width = images.shape[2:]
    mixing = _choose_cutmix(len(images), height, width, p, generator)
    return _apply(mixing, images, labels, num_classes)
