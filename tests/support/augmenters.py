"""Stored images and augmenters for the tests of augmentation."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.transforms.augment import Augmenter

BARE = Augmentation(crop="center", flip=False, color_std=0.0)
"""No augmentation at all."""
AXES = torch.tensor([[20.0, -7.0, 1.0], [19.0, 1.0, -3.0], [18.0, 6.0, 2.0]])


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def stored(count: int = 4, side: int = 12) -> Tensor:
    """Images in which no two pixels are equal."""
    order = [torch.randperm(side * side, generator=seeded(i)) for i in range(count)]
    first = torch.stack(order).reshape(count, side, side) % 256
    return torch.stack([first, first // 2, 255 - first], 3).to(torch.uint8)


def augmenter(
    options: Augmentation,
    side: int = 12,
    crop: int = 7,
    mean_image: Tensor | None = None,
    **values: object,
) -> Augmenter:
    preprocessing = Preprocessing(resize_size=side, crop_size=crop, **values)  # type: ignore[arg-type]
    return Augmenter(
        options=options,
        preprocessing=preprocessing,
        color_principal_axes=AXES,
        mean_image=mean_image,
    )
