"""The preprocessing that a table and a recipe ask for, measured on the training pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import (
    CODE2012_DIVISOR,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Preprocessing,
    Triple,
)
from alexnet.config.recipe import PictureOptions
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.models.architecture import Architecture
from alexnet.transforms.crops import GREY_WEIGHTS, resized


def preprocessing_for(
    table: Architecture,
    options: PictureOptions,
    mean: Triple = (0, 0, 0),
    divisor: Triple = (1, 1, 1),
) -> Preprocessing:
    """The preprocessing of a table and a recipe, with a mean and divisor that were measured."""
    channels, side, _ = table.input
    crop = options.crop_pixels or side
    return Preprocessing(
        resize=options.resize,
        store_pixels=options.store_pixels,
        pad_pixels=options.pad_pixels,
        crop_pixels=crop,
        input_pixels=side if crop != side else 0,
        channels=1 if channels == 1 else 3,
        mean=mean,
        divisor=divisor,
        has_mean_image=options.mean == "image",
    )


def measured_preprocessing(
    table: Architecture,
    options: PictureOptions,
    store: Store,
    rows: np.ndarray,
    device: torch.device,
) -> tuple[Preprocessing, Tensor | None]:
    """The preprocessing as measured on the training pictures, and their mean picture if wanted."""
    deviation = np.sqrt(np.maximum(np.diag(store.colour_covariance(rows)), 1.0))
    means: dict[str, Triple] = {
        "channel": _triple(store.colour_mean(rows)),
        "imagenet": IMAGENET_MEAN,
        "image": (0, 0, 0),
        "none": (0, 0, 0),
    }
    divisors: dict[str, Triple] = {
        "deviation": _triple(deviation),
        "imagenet": IMAGENET_DEVIATION,
        "pixels": (1, 1, 1),
        "unit": (255, 255, 255),
        "code2012": (CODE2012_DIVISOR,) * 3,
    }
    if table.input[0] == 1:
        grey = np.array(GREY_WEIGHTS)
        spread = float(np.sqrt(max(grey @ store.colour_covariance(rows) @ grey, 1.0)))
        means["channel"] = _triple(np.full(3, store.colour_mean(rows) @ grey))
        divisors["deviation"] = (spread, spread, spread)
    rule = preprocessing_for(table, options, means[options.mean], divisors[options.scale])
    if options.mean != "image":
        return rule, None
    offset = (rule.store_pixels - rule.crop_pixels) // 2
    if offset < 0 or rule.channels != 3:
        raise DataError(
            "--mean image needs colour pictures at least as large as the input; use --mean channel"
        )
    window = slice(offset, offset + rule.crop_pixels)
    mean_image = torch.from_numpy(store.mean_image(rows)[window, window]).permute(2, 0, 1)
    return rule, resized(mean_image[None], rule.side)[0].contiguous().to(device)


def _triple(values: np.ndarray) -> Triple:
    r, g, b = (float(value) for value in values)
    return r, g, b


def colour_axes(covariance: np.ndarray) -> Tensor:
    """Principal colours times their standard deviations: float32 [3, 3].

    `covariance` is that of r, g and b.
    """
    variance, directions = np.linalg.eigh(covariance)
    return torch.from_numpy(directions * np.sqrt(np.maximum(variance, 0))).float()
