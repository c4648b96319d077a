"""Import the notebook's network from Keras 3 files: `.keras` (config and weights), `.weights.h5`.

The config is parsed as JSON and never given to Keras, so no code in it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from math import isqrt
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from alexnet.config.serialization import parse_json, short_repr
from alexnet.errors import AlexNetError, ConfigError, ModelFileError
from alexnet.interop.keras.arrays import read_member
from alexnet.interop.match import BATCH_NORM, MatchedModel, ParsedLayer, match_layers
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.isolated import read_in_subprocess
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.text import error_text, printable
from alexnet.models.architecture import Architecture, is_valid_input
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    Shape,
)
from alexnet.runtime.extras import require_extra

MAX_SEARCHED_SIZE = 1024
"""Largest side of an input that is tried for a file of weights."""
READER = "alexnet.interop.keras.arrays:keras_arrays"
WEIGHTED_LAYERS = {"conv2d": Conv, "dense": FullyConnected, "batch_normalization": BatchNorm}
"""Our kinds of layers with weights, by Keras's name of the type."""
Config: TypeAlias = dict[str, Any]
LayerArrays: TypeAlias = list[np.ndarray]
Arrays: TypeAlias = dict[str, list[LayerArrays]]
"""By Keras's name of the type, the arrays of each layer in the network's order."""
ArrayReader: TypeAlias = Callable[[str, Path], dict[str, np.ndarray]]


def read_keras(
    path: Path,
    arch: Architecture,
    input_size: int | None = None,
    *,
    read_arrays: ArrayReader = read_in_subprocess,
) -> MatchedModel:
    """An architecture with the widths, the input size and the weights of a Keras file.

    `.weights.h5` does not say the input size. It is `input_size` if given, else the published one
    if that fits the file's first dense layer, else the smallest that does.

    Args:
        path: `.keras` or `.weights.h5`.
        arch: the architecture that the file must match.
        input_size: side of the input in pixels; None: see above. Not used for `.keras`.
        read_arrays: calls a reader ("module:function") for a path.

    Raises:
        ModelFileError: the file is damaged or another network; the first mismatch is named.
        UsageError: h5py is not installed.
    """
    require_extra("h5py", "keras", "reading Keras files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    with _as_model_file_error(path):
        if path.suffix == ".keras":
            with open_regular(path) as file, open_zip(file) as archive:
                config = parse_json(read_member(archive, "config.json", MAX_TEXT_BYTES))
            arrays = _by_layer(read_arrays(READER, path))
            layers, shape = _parse_config(path, config, arrays, arch.input)
        else:
            arrays = _by_layer(read_arrays(READER, path))
            layers = list(_with_file_widths(path, arch, arrays))
            shape = _input_shape(arch, arrays, input_size)
        return match_layers(path.name, layers, arch, shape)


@contextmanager
def _as_model_file_error(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises into a ModelFileError."""
    try:
        yield
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be read as a Keras file: {error}") from error
    except AlexNetError:
        raise
    except Exception as error:  # zipfile raises many kinds, and the file may hold anything
        raise ModelFileError(
            f"{path} cannot be read as a Keras file: {error_text(error)}"
        ) from error


def _by_layer(arrays: dict[str, np.ndarray]) -> Arrays:
    """Group the arrays of `keras_arrays` by type and layer."""

    def layers(name: str) -> Iterator[LayerArrays]:
        for layer in count():
            if (key := f"{name}/{layer}") not in arrays:
                return
            yield [arrays[f"{key}/{i}"] for i in range(int(arrays[key]))]

    return {name: list(layers(name)) for name in WEIGHTED_LAYERS}


def _parse_config(
    path: Path, config: Any, arrays: Arrays, published: Shape
) -> tuple[list[ParsedLayer], Shape]:
    """The layers that a config lists, with their arrays, and the input shape."""
    if config["class_name"] != "Sequential":
        name = printable(str(config["class_name"]))[:80]
        raise ModelFileError(f"{path} is a {name} model, not a Sequential one")
    remaining = {name: iter(layers) for name, layers in arrays.items()}
    layers: list[ParsedLayer] = []
    shape = published
    for entry in config["config"]["layers"]:
        if entry["class_name"] == "InputLayer":
            options = entry["config"]
            _, h, w, c = options.get("batch_shape") or options["batch_input_shape"]
            shape = (int(c), int(h), int(w))
        else:
            layers.extend(_parse_layer(path, entry, remaining))
    return _without_softmax(layers), shape


def _parse_layer(
    path: Path, entry: Config, remaining: dict[str, Iterator[LayerArrays]]
) -> Iterator[ParsedLayer]:
    """A layer of a config with the next arrays of its type, and the activation inside it."""
    layer_type, options = entry["class_name"], entry["config"]
    description = f"{printable(str(layer_type))[:80]} {short_repr(options['name'])}"
    if layer_type not in PARSERS:
        raise ModelFileError(
            f"{path} has the layer {description}, which no architecture here has; it is not run"
        )
    _check_options(path, description, options)
    layer = PARSERS[layer_type](options)
    name = _weighted_name(layer)
    weights = _torch_arrays(layer, next(remaining[name], [])) if name else {}
    yield ParsedLayer(layer, description, weights)
    function = options.get("activation", "linear")
    if "use_bias" in options and function != "linear":
        activation = Activation(options["name"], function)
        yield ParsedLayer(activation, f"{description} activation {function!r}")


def _weighted_name(layer: Layer) -> str:
    """Keras's name of a layer's type; "" for layers without weights."""
    return next((name for name, cls in WEIGHTED_LAYERS.items() if isinstance(layer, cls)), "")


def _check_options(path: Path, description: str, options: Config) -> None:
    """Reject options that our layers do not have."""
    required = {"dilation_rate": [1, 1], "data_format": "channels_last"}
    for name, only in required.items():
        if options.get(name, only) != only:
            raise ModelFileError(
                f"{path}: {description} has {name} {short_repr(options[name])}; "
                f"only {only} is supported"
            )
    if options.get("padding", "valid") != "valid" and options.get("strides") not in (1, [1, 1]):
        raise ModelFileError(
            f"{path}: {description} has padding {short_repr(options['padding'])} with strides, "
            "which is not supported"
        )


def _conv(options: Config) -> Conv:
    kernel, stride = _square(options["kernel_size"]), _square(options["strides"])
    padding = kernel // 2 if options["padding"] == "same" else 0
    groups = int(options.get("groups", 1))
    return Conv(options["name"], int(options["filters"]), kernel, stride, padding, groups=groups)


def _dense(options: Config) -> FullyConnected:
    return FullyConnected(options["name"], int(options["units"]))


def _max_pool(options: Config) -> Pool:
    size = _square(options["pool_size"])
    return Pool(options["name"], size, _square(options["strides"] or size))


def _average_pool(options: Config) -> Pool:
    return replace(_max_pool(options), reduce="average")


def _activation(options: Config) -> Activation:
    return Activation(options["name"], options["activation"])


def _batch_norm(options: Config) -> BatchNorm:
    return BatchNorm(options["name"], float(options["epsilon"]), 1 - float(options["momentum"]))


def _dropout(options: Config) -> Dropout:
    return Dropout(options["name"], float(options["rate"]))


def _flatten(options: Config) -> Flatten:
    return Flatten(options["name"], "hwc")


PARSERS: dict[str, Callable[[Config], Layer]] = {
    "Conv2D": _conv,
    "Dense": _dense,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "Activation": _activation,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "Flatten": _flatten,
}
"""By Keras's class name."""


def _without_softmax(layers: list[ParsedLayer]) -> list[ParsedLayer]:
    last = layers[-1].layer if layers else None
    is_softmax = isinstance(last, Activation) and str(last.function) == "softmax"
    return layers[:-1] if is_softmax else layers


def _square(value: Any) -> int:
    """The number n in n or [n, n]."""
    height, width = (value, value) if isinstance(value, int) else value
    if height != width:
        raise ValueError(f"a window of {height}x{width} is not square")
    return int(height)


def _torch_arrays(layer: Layer, arrays: LayerArrays) -> dict[str, np.ndarray]:
    """A layer's arrays by torch's names: HWIO is transposed to OIHW, (in, out) to (out, in)."""
    names = BATCH_NORM if isinstance(layer, BatchNorm) else ("weight", "bias")
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}
    transposed = [a.transpose(axes[a.ndim]) if a.ndim in axes else a for a in arrays]
    return dict(zip(names, transposed, strict=False))


def _with_file_widths(path: Path, arch: Architecture, arrays: Arrays) -> Iterator[ParsedLayer]:
    """The architecture's own layers, as wide as the arrays: weights alone say no more."""
    for name, cls in WEIGHTED_LAYERS.items():
        expected = sum(isinstance(layer, cls) for layer in arch.layers)
        if expected != len(arrays[name]):
            raise ModelFileError(
                f"{path} is not {arch.name}: "
                f"it has {len(arrays[name])} {name} layers, expected {expected}"
            )
    remaining = {name: iter(layers) for name, layers in arrays.items()}
    for layer in arch.layers:
        name = _weighted_name(layer)
        weights = _torch_arrays(layer, next(remaining[name])) if name else {}
        width = weights["weight"].shape[0] if "weight" in weights else 0
        if isinstance(layer, Conv):
            layer = replace(layer, channels=width)
        elif isinstance(layer, FullyConnected):
            layer = replace(layer, features=width)
        yield ParsedLayer(layer, f"the file's {layer.name}", weights)


def _input_shape(arch: Architecture, arrays: Arrays, input_size: int | None) -> Shape:
    """The input shape for which weights fit: see `read_keras`."""
    in_channels = arrays["conv2d"][0][0].shape[2]
    if input_size:
        return in_channels, input_size, input_size
    channels, features = arrays["conv2d"][-1][0].shape[-1], arrays["dense"][0][0].shape[0]
    map_side = isqrt(features // channels)
    flatten = [layer.kind for layer in arch.layers].index("flatten")
    for side in (arch.input[1], *range(1, MAX_SEARCHED_SIZE + 1)):
        if 0 < map_side == _side_before_flatten(arch.layers[:flatten], side, arch.input[0]):
            return in_channels, side, side
    return in_channels, *arch.input[1:]


def _side_before_flatten(layers: tuple[Layer, ...], side: int, channels: int) -> int:
    """Side of the last feature map for a square input; 0 where the input is too small."""
    shape: Shape = (channels, side, side)
    if not is_valid_input(layers, shape):
        return 0
    for layer in layers:
        shape = layer.output(shape)
    return shape[1]
