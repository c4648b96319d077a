"""The tutorial's net from Keras 3 files: `.keras` (config and weights) and `.weights.h5`.

The config is read as JSON and never handed to Keras, so nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.config.serialization import parse_json, short_repr
from alexnet.errors import AlexNetError, ConfigError, ModelFileError
from alexnet.interop.keras.arrays import member
from alexnet.interop.match import BATCH_NORM, Found, MatchedModel, fit
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.isolated import read_in_subprocess
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.text import printable
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

READER = "alexnet.interop.keras.arrays:keras_arrays"
WEIGHTED = {"conv2d": Conv, "dense": FullyConnected, "batch_normalization": BatchNorm}
"""Keras's groups of arrays, by our kind of layer."""
Arrays = list[np.ndarray]


def read_keras(path: Path, table: Architecture, input_size: int | None = None) -> MatchedModel:
    """A table with the widths, the input and the weights of a Keras file.

    `.weights.h5` does not tell the input: it is `input_size`, else the published size where that
    fits the file's first dense layer, else the smallest that does.

    Raises:
        ModelFileError: damaged, or of another net; the first mismatch is named.
        UsageError: h5py is not installed.
    """
    require_extra("h5py", "keras", "reading Keras files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    with _damaged(path):
        if path.suffix == ".keras":
            with open_regular(path) as file, open_zip(file) as archive:
                config = parse_json(member(archive, "config.json", MAX_TEXT_BYTES))
            arrays = _by_layer(read_in_subprocess(READER, path))
            found, shape = _from_config(path, config, arrays, table.input)
        else:
            arrays = _by_layer(read_in_subprocess(READER, path))
            found = list(_from_table(path, table, arrays))
            shape = _input(table, arrays, input_size)
        return fit(path.name, found, table, shape)


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Make one error of whatever a damaged file raises."""
    try:
        yield
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be read as a Keras file: {error}") from error
    except AlexNetError:
        raise
    except Exception as error:  # zipfile raises many kinds, and what is read may be anything
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelFileError(f"{path} cannot be read as a Keras file: {reason}") from error


def _by_layer(found: dict[str, np.ndarray]) -> dict[str, list[Arrays]]:
    """The arrays of every layer, by the kind of layer, in the net's order."""
    return {
        kind: [
            [found[f"{kind}/{layer}/{i}"] for i in range(int(found[f"{kind}/{layer}"]))]
            for layer in range(sum(name.count("/") == 1 for name in found if name.startswith(kind)))
        ]
        for kind in WEIGHTED
    }


def _from_config(
    path: Path, config: Any, arrays: dict[str, list[Arrays]], published: Shape
) -> tuple[list[Found], Shape]:
    """The layers that a config lists, with their arrays, and the input's shape."""
    if config["class_name"] != "Sequential":
        kind = printable(str(config["class_name"]))[:80]
        raise ModelFileError(f"{path} holds a {kind} model, not a Sequential one")
    queues = {kind: iter(each) for kind, each in arrays.items()}
    found: list[Found] = []
    shape = published
    for entry in config["config"]["layers"]:
        kind, options = entry["class_name"], entry["config"]
        where = f"{printable(str(kind))[:80]} {short_repr(options['name'])}"
        if kind == "InputLayer":
            _, h, w, c = options.get("batch_shape") or options["batch_input_shape"]
            shape = (int(c), int(h), int(w))
            continue
        if kind not in READERS:
            raise ModelFileError(
                f"{path} has the layer {where}, which no network here has; it is not run"
            )
        _check_plain(path, where, options)
        layer = READERS[kind](options)
        group = next((name for name, ours in WEIGHTED.items() if isinstance(layer, ours)), "")
        own = _named(layer, next(queues[group], [])) if group else {}
        found.append(Found(layer, where, own))
        found.extend(_fused(options, where))
    return _without_softmax(found), shape


def _check_plain(path: Path, where: str, options: dict[str, Any]) -> None:
    """Refuse what our layers cannot say."""
    rank_1 = {"dilation_rate": [1, 1], "data_format": "channels_last"}
    for name, only in rank_1.items():
        if options.get(name, only) != only:
            raise ModelFileError(
                f"{path}: {where} has {name} {short_repr(options[name])}; only {only} is read"
            )
    if options.get("padding", "valid") != "valid" and options.get("strides") not in (1, [1, 1]):
        raise ModelFileError(
            f"{path}: {where} has padding {short_repr(options['padding'])} with strides"
        )


def _conv(options: dict[str, Any]) -> Conv:
    kernel, stride = _square(options["kernel_size"]), _square(options["strides"])
    padding = kernel // 2 if options["padding"] == "same" else 0
    groups = int(options.get("groups", 1))
    return Conv(options["name"], int(options["filters"]), kernel, stride, padding, groups=groups)


def _dense(options: dict[str, Any]) -> FullyConnected:
    return FullyConnected(options["name"], int(options["units"]))


def _max_pool(options: dict[str, Any]) -> Pool:
    size = _square(options["pool_size"])
    return Pool(options["name"], size, _square(options["strides"] or size))


def _average_pool(options: dict[str, Any]) -> Pool:
    return replace(_max_pool(options), reduce="average")


def _activation(options: dict[str, Any]) -> Activation:
    return Activation(options["name"], options["activation"])


def _batch_norm(options: dict[str, Any]) -> BatchNorm:
    return BatchNorm(options["name"], float(options["epsilon"]), 1 - float(options["momentum"]))


def _dropout(options: dict[str, Any]) -> Dropout:
    return Dropout(options["name"], float(options["rate"]))


def _flatten(options: dict[str, Any]) -> Flatten:
    return Flatten(options["name"], "hwc")


READERS = {
    "Conv2D": _conv,
    "Dense": _dense,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "Activation": _activation,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "Flatten": _flatten,
}


def _fused(options: dict[str, Any], where: str) -> Iterator[Found]:
    """The activation that a convolution or dense layer brings along."""
    function = options.get("activation", "linear")
    if "use_bias" in options and function != "linear":
        yield Found(Activation(options["name"], function), f"{where} activation {function!r}")


def _without_softmax(found: list[Found]) -> list[Found]:
    last = found[-1].layer if found else None
    is_softmax = isinstance(last, Activation) and str(last.function) == "softmax"
    return found[:-1] if is_softmax else found


def _square(value: Any) -> int:
    """One number of a pair such as [11, 11]."""
    height, width = (value, value) if isinstance(value, int) else value
    if height != width:
        raise ValueError(f"a window of {height}x{width} is not square")
    return int(height)


def _named(layer: Layer, arrays: Arrays) -> dict[str, np.ndarray]:
    """Keras's arrays of a layer by torch's names: HWIO to OIHW, (in, out) to (out, in)."""
    names = BATCH_NORM if isinstance(layer, BatchNorm) else ("weight", "bias")
    order = {4: (3, 2, 0, 1), 2: (1, 0)}
    turned = [a.transpose(order[a.ndim]) if a.ndim in order else a for a in arrays]
    return dict(zip(names, turned, strict=False))


def _from_table(
    path: Path, table: Architecture, arrays: dict[str, list[Arrays]]
) -> Iterator[Found]:
    """The table's own layers, as wide as the arrays are: weights alone tell no more."""
    for kind, ours in WEIGHTED.items():
        here = sum(isinstance(layer, ours) for layer in table.layers)
        if here != len(arrays[kind]):
            raise ModelFileError(
                f"{path} is not {table.name}: "
                f"it has {len(arrays[kind])} layers of the kind {kind}, here {here}"
            )
    queues = {kind: iter(each) for kind, each in arrays.items()}
    for layer in table.layers:
        group = next((name for name, ours in WEIGHTED.items() if isinstance(layer, ours)), "")
        own = _named(layer, next(queues[group])) if group else {}
        width = own["weight"].shape[0] if "weight" in own else 0
        if isinstance(layer, Conv):
            layer = replace(layer, channels=width)
        elif isinstance(layer, FullyConnected):
            layer = replace(layer, features=width)
        yield Found(layer, f"the file's {layer.name}", own)


def _input(table: Architecture, arrays: dict[str, list[Arrays]], input_size: int | None) -> Shape:
    """The input that a file of weights alone was made for, as far as it can be told."""
    colours = arrays["conv2d"][0][0].shape[2]
    if input_size:
        return colours, input_size, input_size
    maps, features = arrays["conv2d"][-1][0].shape[-1], arrays["dense"][0][0].shape[0]
    map_side = isqrt(features // maps)
    trunk = table.layers[: [layer.kind for layer in table.layers].index("flatten")]
    sides = (table.input[1], *range(1, 1025))
    for side in sides:
        shape: Shape = (table.input[0], side, side)
        if is_valid_input(trunk, shape):
            for layer in trunk:
                shape = layer.output(shape)
            if shape[1] == map_side:
                return colours, side, side
    return colours, *table.input[1:]
