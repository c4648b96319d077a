"""The preprocessing that a table and a recipe ask for, measured on the training pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import (
    CODE2012_DIVISOR,
    IMAGENET_MEAN,
    IMAGENET_STD,
    RGB,
    Preprocessing,
)
from alexnet.config.recipe import DataOptions
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.models.architecture import Architecture
from alexnet.transforms.crops import LUMA_WEIGHTS, resized


def preprocessing_for(
    table: Architecture,
    options: DataOptions,
    mean: RGB = (0, 0, 0),
    divisor: RGB = (1, 1, 1),
) -> Preprocessing:
    """The preprocessing of a table and a recipe, with a mean and divisor that were measured."""
    channels, side, _ = table.input
    crop = options.crop_size or side
    return Preprocessing(
        resize=options.resize,
        resize_size=options.resize_size,
        padding=options.padding,
        crop_size=crop,
        input_size=side if crop != side else 0,
        channels=1 if channels == 1 else 3,
        mean=mean,
        std=divisor,
        has_mean_image=options.mean == "image",
    )


def fit_preprocessing(
    table: Architecture,
    options: DataOptions,
    store: Store,
    rows: np.ndarray,
    device: torch.device,
) -> tuple[Preprocessing, Tensor | None]:
    """The preprocessing as measured on the training pictures, and their mean picture if wanted."""
    deviation = np.sqrt(np.maximum(np.diag(store.colour_covariance(rows)), 1.0))
    means: dict[str, RGB] = {
        "rgb": _triple(store.colour_mean(rows)),
        "imagenet": IMAGENET_MEAN,
        "image": (0, 0, 0),
        "none": (0, 0, 0),
    }
    divisors: dict[str, RGB] = {
        "std": _triple(deviation),
        "imagenet": IMAGENET_STD,
        "pixels": (1, 1, 1),
        "unit": (255, 255, 255),
        "code2012": (CODE2012_DIVISOR,) * 3,
    }
    if table.input[0] == 1:
        grey = np.array(LUMA_WEIGHTS)
        spread = float(np.sqrt(max(grey @ store.colour_covariance(rows) @ grey, 1.0)))
        means["rgb"] = _triple(np.full(3, store.colour_mean(rows) @ grey))
        divisors["std"] = (spread, spread, spread)
    rule = preprocessing_for(table, options, means[options.mean], divisors[options.scale])
    if options.mean != "image":
        return rule, None
    offset = (rule.resize_size - rule.crop_size) // 2
    if offset < 0 or rule.channels != 3:
        raise DataError(
            "--mean image needs colour pictures at least as large as the input; use --mean rgb"
        )
    window = slice(offset, offset + rule.crop_size)
    mean_image = torch.from_numpy(store.mean_image(rows)[window, window]).permute(2, 0, 1)
    return rule, resized(mean_image[None], rule.side)[0].contiguous().to(device)


def _triple(values: np.ndarray) -> RGB:
    r, g, b = (float(value) for value in values)
    return r, g, b


def color_principal_axes(covariance: np.ndarray) -> Tensor:
    """Principal colours times their standard deviations: float32 [3, 3].

    `covariance` is that of r, g and b.
    """
    variance, directions = np.linalg.eigh(covariance)
    return torch.from_numpy(directions * np.sqrt(np.maximum(variance, 0))).float()
