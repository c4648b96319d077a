"""A classifier in int8 without torch, whose import takes longer than predicting one image.

`freeze.py` writes its file to the cache if the C kernels compute all layers of a classifier. Its
predictions are bit for bit those of that classifier.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from alexnet.checkpoints.file_header import HEADER_KEY
from alexnet.checkpoints.model_file import MEAN_IMAGE, ModelInfo
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import from_dict, parse_json
from alexnet.errors import ConfigError
from alexnet.inference.checks import check_crops, checked_pixels
from alexnet.inference.int8_kernels import (
    PackedWeights,
    Window,
    int8_conv2d,
    int8_linear,
    maps_at_a_time,
    relu_norm_pool,
    response_norm,
)
from alexnet.inference.predictions import AnsweringNetwork
from alexnet.inference.predictor import Crops, Predictor, class_probabilities
from alexnet.models.layers import FlattenOrder, Layer, ResponseNorm
from alexnet.ops.arrays import check_array
from alexnet.ops.library import KernelLibrary
from alexnet.ops.resize_crop import box_of, resize_crop

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 64
"""Images computed at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenLayer:
    """One operation of the C kernels; fields that its kind does not use have their defaults."""

    kind: Literal["conv", "linear", "relu_norm_pool", "response_norm", "flatten"]
    name: str
    clamp_min: float | None = None
    """Smallest output of conv and linear: 0 if a ReLU is fused; None for no limit."""
    window: Window | None = None
    """Window of conv."""
    is_bf16: bool = False
    """Whether the outputs of conv are bf16; otherwise they are float32."""
    norm: Layer | None = None
    """The `ResponseNorm` of response_norm, or of relu_norm_pool if it has one."""
    pool: tuple[int, int] = (1, 1)
    """Window and stride of the pooling of relu_norm_pool."""
    order: FlattenOrder = "chw"
    """Order in which flatten reads the axes of a feature map."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenHeader:
    """The header of a frozen classifier's file, besides its arrays."""

    info: ModelInfo
    layers: tuple[FrozenLayer, ...]
    checksum: int
    """`checksum` of the arrays."""


@dataclass(frozen=True, eq=False)
class FrozenClassifier(Predictor):
    """A classifier whose layers are operations of the C kernels on arrays."""

    info: ModelInfo
    layers: tuple[FrozenLayer, ...]
    arrays: Mapping[str, np.ndarray]
    """The fields of `PackedWeights` as "LAYER.FIELD", and the mean image if there is one."""
    kernels: KernelLibrary

    @property
    def answering_network(self) -> AnsweringNetwork:
        """An optimized network in int8, whose answers do not depend on the batch."""
        return AnsweringNetwork(is_optimized=True, number_type="int8", depends_on_batch=False)

    def probabilities(self, pixels: np.ndarray | Tensor, crops: Crops = 1) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        Raises:
            UsageError: `pixels` have another type or shape, or `crops` is neither 1 nor 10.
        """
        check_crops(crops)
        pixels = checked_pixels(pixels, self.info.preprocessing.resize_size)
        found = [np.zeros((0, len(self.class_names)), np.float32)]
        for first in range(0, len(pixels), BATCH):
            part = pixels[first : first + BATCH]
            mean_image = self.arrays.get(MEAN_IMAGE)
            inputs = normalized_crops(
                part, self.info.preprocessing, mean_image, crops, self.kernels
            )
            logits = np.stack([self.logits(images) for images in inputs])
            found.append(class_probabilities(logits, self.info.temperature))
        return np.concatenate(found)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Outputs float32 [N, num_classes] of the network's inputs, float32 [N, side, side, 3].

        Raises:
            ValueError: the inputs have another type or shape.
        """
        channels, *sides = self.info.architecture.input
        check_array("images", images, "float32", (len(images), *sides, channels))
        kinds = [layer.kind for layer in self.layers]
        count = kinds.index("flatten") if "flatten" in kinds else len(kinds)
        at_a_time = maps_at_a_time(images[:1].size)
        parts = (images[i : i + at_a_time] for i in range(0, len(images), at_a_time))
        features = [reduce(self._compute, self.layers[:count], part) for part in parts]
        return reduce(self._compute, self.layers[count:], np.concatenate(features))

    def _compute(self, x: np.ndarray, layer: FrozenLayer) -> np.ndarray:
        if layer.kind == "flatten":
            return flatten(x, layer.order)
        norm = layer.norm if isinstance(layer.norm, ResponseNorm) else None
        if layer.kind == "relu_norm_pool":
            return relu_norm_pool(x, norm, *layer.pool, self.kernels)
        if norm is not None:
            return response_norm(x, norm, self.kernels)
        names = (f"{layer.name}.{field}" for field in PackedWeights._fields)
        weights = PackedWeights(*(self.arrays[name] for name in names))
        clamp_min = -np.inf if layer.clamp_min is None else layer.clamp_min
        if layer.window is None:
            return int8_linear(x, weights, clamp_min, self.kernels)
        return int8_conv2d(x, weights, layer.window, layer.is_bf16, clamp_min, self.kernels)


def flatten(x: np.ndarray, order: FlattenOrder) -> np.ndarray:
    """Flatten feature maps [N, H, W, C] to rows [N, C * H * W], in the given order of the axes."""
    x = x if order == "hwc" else x.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(x.reshape(len(x), -1))


def normalized_crops(
    pixels: np.ndarray,
    preprocessing: Preprocessing,
    mean_image: np.ndarray | None,
    crops: Crops,
    kernels: KernelLibrary,
) -> Iterator[np.ndarray]:
    """Yield the center crop or the paper's ten crops, bit for bit as `transforms.crops` makes them.

    Args:
        pixels: uint8 [N, S, S, 3].
        preprocessing: preprocessing of RGB images.
        mean_image: [3, side, side], subtracted in place of `preprocessing.mean`.
        crops: 1 or 10.
        kernels: the C kernels.
    """
    padding, size, side = preprocessing.padding, preprocessing.crop_size, preprocessing.input_side
    pixels = np.pad(pixels, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    colors = preprocessing.mean, preprocessing.std
    mean, std = (np.array(rgb, np.float32) for rgb in colors)
    mean = np.tile(mean, (side, side, 1)) if mean_image is None else mean_image.transpose(1, 2, 0)
    mean = np.ascontiguousarray(mean)
    for top, left, is_flipped in crop_places(pixels.shape[1] - size, crops):
        images = np.empty((len(pixels), side, side, 3), np.float32)
        if size != side:
            box = np.array(box_of(top, left, size, is_flipped), np.float32)
            boxes, shifts = np.tile(box, (len(pixels), 1)), np.zeros((len(pixels), 3), np.float32)
            yield resize_crop(kernels, pixels, boxes, shifts, size, mean, std, images)
            continue
        crop = pixels[:, top : top + side, left : left + side]
        np.subtract(crop[:, :, ::-1] if is_flipped else crop, mean, out=images)
        lines = images.reshape(len(images), side, -1)
        lines /= np.tile(std, side)  # a line at once, and not the three numbers of a pixel
        yield images


def crop_places(end: int, crops: Crops) -> Sequence[tuple[int, int, bool]]:
    """Top, left and whether it is flipped, for each crop; the last corner is at (`end`, `end`)."""
    middle = end // 2
    if crops == 1:
        return [(middle, middle, False)]
    corners = ((0, 0), (0, end), (end, 0), (end, end), (middle, middle))
    return [(top, left, is_flipped) for is_flipped in (False, True) for top, left in corners]


def checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """A CRC-32 over the bytes of arrays; it detects damage."""
    total = 0
    for _, array in sorted(arrays.items()):
        total = zlib.crc32(array.reshape(-1).view(np.uint8).data, total)
    return total


def read_frozen(path: Path, kernels: KernelLibrary) -> FrozenClassifier | None:
    """Read a classifier from a file that `freeze` wrote; None if it is missing or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = from_dict(FrozenHeader, parse_json(file.metadata()[HEADER_KEY]))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ConfigError, TypeError, KeyError):
        return None
    if checksum(arrays) != header.checksum:
        return None
    return FrozenClassifier(header.info, header.layers, arrays, kernels)
