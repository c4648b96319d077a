"""Preprocessing for an architecture and a recipe, with statistics of the training images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import MEANS, RGB, SCALES, Preprocessing
from alexnet.config.recipe import DataOptions
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError, DataError
from alexnet.models.architecture import Architecture
from alexnet.transforms.crops import LUMA_WEIGHTS, resize


def preprocessing_for(
    arch: Architecture,
    options: DataOptions,
    mean: RGB = (0, 0, 0),
    std: RGB = (1, 1, 1),
) -> Preprocessing:
    """The preprocessing of an architecture and a recipe, with a given mean and std.

    Raises:
        ConfigError: the architecture's input is not a square, or the crop does not fit.
    """
    channels, side, width = arch.input
    if side != width:
        raise ConfigError(
            f"{arch.name} takes images of {side}x{width} pixels, and images are cropped to squares "
            "here; choose a square with --input-size"
        )
    crop_size = options.crop_size or side
    return Preprocessing(
        resize=options.resize,
        resize_size=options.resize_size,
        padding=options.padding,
        crop_size=crop_size,
        input_size=side if crop_size != side else None,
        channels=1 if channels == 1 else 3,
        mean=mean,
        std=std,
        has_mean_image=options.mean == "image",
    )


def fit_preprocessing(
    arch: Architecture,
    options: DataOptions,
    store: Store,
    indices: np.ndarray,
    device: torch.device,
) -> tuple[Preprocessing, Tensor | None]:
    """The preprocessing with the statistics of some images, and their mean image if wanted.

    Args:
        arch: gives channels and size of the input.
        options: which mean and std are used.
        store: the store of the data set.
        indices: indices of the training images.
        device: where the mean image [3, side, side] is returned.

    Raises:
        DataError: a mean image is wanted for a grey input or one larger than the stored images.
    """
    mean, std = _color_statistics(store, indices, grayscale=arch.input[0] == 1)
    means: dict[str, RGB] = {**MEANS, "rgb": mean, "image": (0, 0, 0)}
    stds: dict[str, RGB] = {**SCALES, "std": std}
    preprocessing = preprocessing_for(arch, options, means[options.mean], stds[options.scale])
    if options.mean != "image":
        return preprocessing, None
    return preprocessing, _mean_image(preprocessing, store, indices).to(device)


def _color_statistics(store: Store, indices: np.ndarray, grayscale: bool) -> tuple[RGB, RGB]:
    """Mean and standard deviation (at least 1) per channel, or of the grey value three times."""
    mean, covariance = store.color_mean(indices), store.color_covariance(indices)
    if grayscale:
        luma = np.array(LUMA_WEIGHTS)
        std = float(np.sqrt(max(luma @ covariance @ luma, 1.0)))
        return _rgb(np.full(3, mean @ luma)), (std, std, std)
    return _rgb(mean), _rgb(np.sqrt(np.maximum(np.diag(covariance), 1.0)))


def _mean_image(preprocessing: Preprocessing, store: Store, indices: np.ndarray) -> Tensor:
    """The centre crop of the mean image at the size of the input: float32 [3, side, side]."""
    offset = (preprocessing.resize_size - preprocessing.crop_size) // 2
    if offset < 0 or preprocessing.channels != 3:
        raise DataError(
            "--mean image needs colour images at least as large as the input; use --mean rgb"
        )
    window = slice(offset, offset + preprocessing.crop_size)
    mean_image = torch.from_numpy(store.mean_image(indices)[window, window]).permute(2, 0, 1)
    return resize(mean_image[None], preprocessing.input_side)[0].contiguous()


def _rgb(values: np.ndarray) -> RGB:
    r, g, b = (float(value) for value in values)
    return r, g, b


def color_principal_axes(covariance: np.ndarray) -> Tensor:
    """Principal axes times their standard deviations, one a column: float32 [3, 3].

    `covariance` is that of r, g and b: [3, 3].
    """
    variance, directions = np.linalg.eigh(covariance)
    return torch.from_numpy(directions * np.sqrt(np.maximum(variance, 0))).float()
