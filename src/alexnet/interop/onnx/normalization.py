"""The normalization at the beginning of an ONNX graph: images times a scale plus an offset."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import RGB, Preprocessing
from alexnet.errors import ModelFileError
from alexnet.interop.onnx.chain import Chain


@dataclass(frozen=True, eq=False)
class InputNormalization:
    """A graph's own normalization (x - mean) / std of its images, in the order red, green, blue."""

    mean: np.ndarray
    """Mean on the 0-255 scale: float32 [C, 1, 1], or [C, H, W] for a mean image."""
    std: np.ndarray
    """Standard deviation on the 0-255 scale: float32 [C, 1, 1]."""
    largest: float
    """Largest value of the images that the graph takes: 1 or 255; the smallest is 0."""

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """Normalize images [B, C, H, W] of 0 to 255 for the first layer."""
        return np.asarray((images - self.mean) / self.std, np.float32)

    def flipped(self) -> InputNormalization:
        """The normalization with its channels in reverse order: blue, green, red."""
        return replace(self, mean=self.mean[::-1].copy(), std=self.std[::-1].copy())

    def preprocessing(self, published: Preprocessing) -> tuple[Preprocessing, Tensor | None]:
        """A preprocessing with this normalization, and its mean image if there is one."""
        has_mean_image = self.mean[0].size > 1
        own = replace(
            published,
            mean=(0.0, 0.0, 0.0) if has_mean_image else _rgb(self.mean),
            std=_rgb(self.std),
            has_mean_image=has_mean_image,
        )
        return own, torch.from_numpy(self.mean.copy()) if has_mean_image else None

    def agrees_with(self, preprocessing: Preprocessing, mean_image: Tensor | None) -> bool:
        """Whether a preprocessing normalizes in the same way, to float32's precision."""
        c = len(self.std)
        color = np.reshape(preprocessing.mean[:c], (c, 1, 1))
        mean = color if mean_image is None else mean_image.numpy()
        std = np.reshape(preprocessing.std[:c], (c, 1, 1))
        return bool(
            mean.shape == self.mean.shape
            and np.allclose(mean, self.mean, rtol=1e-4, atol=1e-4)
            and np.allclose(std, self.std, rtol=1e-4)
        )

    def summary(self) -> str:
        """A sentence for the user on the graph's normalization."""
        return (
            f"the file normalizes its images, of values 0 to {self.largest:g}, itself; "
            "the imported model does the same in its preprocessing"
        )


def input_normalization(chain: Chain) -> InputNormalization | None:
    """The normalization by the nodes before the first layer; None if there are no such nodes.

    The nodes do not show whether the images are of 0 to 1 or of 0 to 255. If mean and std are at
    most 1, the images are assumed to be of 0 to 1.

    Raises:
        ModelFileError: the images are scaled by 0, below 0, or by a number for each pixel.
    """
    scale, offset = chain.input_scale, chain.input_offset
    if np.all(scale == 1) and not np.any(offset):
        return None
    if scale[0].size > 1 or not np.all(scale > 0):
        raise ModelFileError(
            f"{chain.path} multiplies its images by numbers that are no 1 / std of each channel"
        )
    c, h, w = chain.input_shape
    mean, std = -offset / scale, np.broadcast_to(1 / scale, (c, 1, 1))
    mean = np.broadcast_to(mean, (c, 1, 1) if mean[0].size == 1 else (c, h, w))
    largest = 1.0 if max(np.abs(mean).max(), std.max()) <= 1 else 255.0
    factor = np.float32(255 / largest)
    return InputNormalization(
        np.asarray(mean * factor, np.float32), np.asarray(std * factor, np.float32), largest
    )


def _rgb(values: np.ndarray) -> RGB:
    """One number for each of three channels; that of a gray image is repeated."""
    first, *rest = (float(value) for value in values[:, 0, 0])
    return (first, rest[0], rest[1]) if len(rest) == 2 else (first, first, first)
