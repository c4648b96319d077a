"""Keras files, written by hand as Keras 3 and Keras 2 write them; Keras itself is not needed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from torch import Tensor

Config = dict[str, Any]
Style = Literal["keras3", "keras2"]


@dataclass
class KerasLayer:
    """A layer, or a model inside the model if it has `layers`."""

    class_name: str
    options: Config = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """By Keras's names, in Keras's order."""
    layers: list[KerasLayer] = field(default_factory=list)
    operands: tuple[Any, ...] = ()
    """Of an operation: what comes after the tensor."""

    @property
    def name(self) -> str:
        return str(self.options["name"])


def layer(class_name: str, name: str = "", **options: Any) -> KerasLayer:
    return KerasLayer(class_name, {"name": name or class_name.lower(), **options})


def model(name: str, layers: list[KerasLayer], class_name: str = "Sequential") -> KerasLayer:
    return KerasLayer(class_name, {"name": name}, layers=layers)


def conv(name: str, weights: Mapping[str, Tensor], ours: str, **options: Any) -> KerasLayer:
    """A convolution with the weights of one of ours."""
    kernel = weights[f"{ours}.weight"].numpy().transpose(2, 3, 1, 0)
    defaults = {
        "filters": kernel.shape[-1],
        "kernel_size": list(kernel.shape[:2]),
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "linear",
        "use_bias": True,
    }
    arrays = {"kernel": kernel, "bias": weights[f"{ours}.bias"].numpy()}
    return KerasLayer("Conv2D", {"name": name, **defaults, **options}, arrays)


def dense(
    name: str,
    weights: Mapping[str, Tensor],
    ours: str,
    map_shape: tuple[int, int, int] | None = None,
    **options: Any,
) -> KerasLayer:
    """A dense layer with the weights of one of ours, behind a map [C, H, W] if that is given."""
    kernel = weights[f"{ours}.weight"].numpy()
    if map_shape:  # our flatten is C, H, W; that of Keras H, W, C
        kernel = kernel.reshape(-1, *map_shape).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    defaults = {"units": len(kernel), "activation": "linear", "use_bias": True}
    arrays = {"kernel": kernel.T, "bias": weights[f"{ours}.bias"].numpy()}
    return KerasLayer("Dense", {"name": name, **defaults, **options}, arrays)


def pool(name: str, size: int, stride: int, kind: str = "Average", **options: Any) -> KerasLayer:
    defaults = {"padding": "valid", "data_format": "channels_last"}
    sizes = {"pool_size": [size, size], "strides": [stride, stride]}
    return KerasLayer(f"{kind}Pooling2D", {"name": name, **sizes, **defaults, **options})


def config_of(
    layers: Sequence[KerasLayer],
    shape: Sequence[int | None],
    class_name: str = "Sequential",
    style: Style = "keras3",
) -> Config:
    """The config of a model that takes images of `shape` (without the batch)."""
    shape_name = "batch_shape" if style == "keras3" else "batch_input_shape"
    first = KerasLayer("InputLayer", {"name": "images", shape_name: [None, *shape]})
    entries = [_entry(one, shape, style) for one in (first, *layers)]
    if class_name == "Sequential":
        return {"class_name": class_name, "config": {"name": "net", "layers": entries}}
    for i, (entry, one) in enumerate(zip(entries, (first, *layers), strict=True)):
        entry["name"] = one.name
        entry["inbound_nodes"] = [_node(entries[i - 1]["name"], one, style)] if i else []
    ends = [first.name, 0, 0], [entries[-1]["name"], 0, 0]
    inputs, outputs = ends if style == "keras3" else ([ends[0]], [ends[1]])
    graph = {"layers": entries, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": class_name, "config": {"name": "net", **graph}}


def _entry(one: KerasLayer, shape: Sequence[int | None], style: Style) -> Config:
    if not one.layers:
        policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
        return {"class_name": one.class_name, "config": {"dtype": policy, **one.options}}
    inner = config_of(one.layers, shape, one.class_name, style)
    inner["config"]["name"] = one.name
    return inner


def _node(source: str, one: KerasLayer, style: Style) -> Any:
    if style == "keras2":
        return [[source, 0, 0, {f"y{i}": value for i, value in enumerate(one.operands)}]]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}}
    return {"args": [tensor, *one.operands], "kwargs": {}}


def snake_case(class_name: str) -> str:
    names = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization"}
    return names.get(class_name, class_name.lower())


def write_keras3(group: h5py.Group, layers: Sequence[KerasLayer]) -> None:
    """`layers/conv2d/vars/0`, `layers/conv2d_1/vars/0` and so on."""
    counts: dict[str, int] = {}
    group.create_group("layers")
    for one in layers:
        stem = snake_case(one.class_name)
        number = counts.get(stem, 0)
        counts[stem] = number + 1
        path = f"layers/{stem}" + (f"_{number}" if number else "")
        if one.layers:
            write_keras3(group.create_group(path), one.layers)
        for i, array in enumerate(one.arrays.values()):
            group[f"{path}/vars/{i}"] = array


def write_keras2(group: h5py.Group, layers: Sequence[KerasLayer]) -> None:
    """`conv2d_1/conv2d_1/kernel:0` and the attributes that list them."""
    group.attrs["layer_names"] = [one.name.encode() for one in layers]
    for one in layers:
        names = []
        for part in one.layers or [one]:
            for name, array in part.arrays.items():
                names.append(f"{part.name}/{name}:0")
                group[f"{one.name}/{names[-1]}"] = array
        group.require_group(one.name).attrs["weight_names"] = [name.encode() for name in names]


def save_archive(path: Path, config: Config, layers: Sequence[KerasLayer]) -> Path:
    """A `.keras` file."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        write_keras3(file, layers)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def save_hdf5(path: Path, config: Config, layers: Sequence[KerasLayer]) -> Path:
    """A whole model as Keras 2 saves it in HDF5, with the state of an optimizer."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        write_keras2(file.create_group("model_weights"), layers)
        file["optimizer_weights/adam/conv2d/kernel/m:0"] = np.zeros((2, 2), np.float32)
    return path
