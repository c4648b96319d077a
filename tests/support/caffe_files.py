"""Caffe model files, written by Google's protobuf library from the published schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INTEGER, FLOAT, TEXT, MESSAGE = 5, 2, 9, 11
"""Types of `FieldDescriptorProto`: int32, float, string, message."""
CONV = (("num_output", 1), ("pad", 3), ("kernel_size", 4), ("group", 5), ("stride", 6))
SCHEMA: dict[str, list[tuple[str, int, int, str]]] = {
    "Shape": [("dim", 1, INTEGER, "packed")],
    "Blob": [
        ("num", 1, INTEGER, ""), ("channels", 2, INTEGER, ""), ("height", 3, INTEGER, ""),
        ("width", 4, INTEGER, ""),
        ("data", 5, FLOAT, "packed"), ("shape", 7, MESSAGE, "Shape"),
    ],
    "Convolution": [(name, i, INTEGER, "") for name, i in CONV],
    "InnerProduct": [("num_output", 1, INTEGER, "")],
    "Pooling": [("kernel_size", 2, INTEGER, ""), ("stride", 3, INTEGER, "")],
    "LRN": [("local_size", 1, INTEGER, ""), ("alpha", 2, FLOAT, ""), ("beta", 3, FLOAT, "")],
    "Transform": [
        ("scale", 1, FLOAT, ""), ("crop_size", 3, INTEGER, ""), ("mean_file", 4, TEXT, ""),
        ("mean_value", 5, FLOAT, "repeated"),
    ],
    "V1Layer": [
        ("name", 4, TEXT, ""), ("type", 5, INTEGER, ""), ("blobs", 6, MESSAGE, "Blob*"),
        ("convolution_param", 10, MESSAGE, "Convolution"),
        ("inner_product_param", 17, MESSAGE, "InnerProduct"),
        ("lrn_param", 18, MESSAGE, "LRN"), ("pooling_param", 19, MESSAGE, "Pooling"),
        ("transform_param", 36, MESSAGE, "Transform"),
    ],
    "Layer": [
        ("name", 1, TEXT, ""), ("type", 2, TEXT, ""), ("blobs", 7, MESSAGE, "Blob*"),
        ("transform_param", 100, MESSAGE, "Transform"),
        ("convolution_param", 106, MESSAGE, "Convolution"),
        ("inner_product_param", 117, MESSAGE, "InnerProduct"),
        ("lrn_param", 118, MESSAGE, "LRN"), ("pooling_param", 121, MESSAGE, "Pooling"),
    ],
    "Net": [
        ("name", 1, TEXT, ""), ("layers", 2, MESSAGE, "V1Layer*"),
        ("layer", 100, MESSAGE, "Layer*"),
    ],
}  # fmt: skip
V1_NUMBERS = {
    "Data": 5, "Convolution": 4, "ReLU": 18, "LRN": 15, "Pooling": 17, "InnerProduct": 14,
    "Dropout": 6, "SoftmaxWithLoss": 21, "Deconvolution": 39,
}  # fmt: skip

PARAMETERS = {
    "Convolution": "convolution_param", "InnerProduct": "inner_product_param", "LRN": "lrn_param",
    "Pooling": "pooling_param", "Data": "transform_param",
}  # fmt: skip


def _schema() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="caffe_test.proto", package="caffe_test")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, kind_name in fields:
            is_repeated = kind_name.endswith("*") or kind_name in ("packed", "repeated")
            added = message.field.add(
                name=field, number=number, type=kind, label=3 if is_repeated else 1
            )
            if kind == MESSAGE:
                added.type_name = f".caffe_test.{kind_name.rstrip('*')}"
            added.options.packed = kind_name == "packed"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe_test.{name}"))
        for name in SCHEMA
    }


MESSAGES = _schema()
Layer = tuple[str, str, dict[str, object]]
"""Type, name and parameters of a layer of a prototxt."""


def caffenet_layers(widths: Sequence[int], is_pool_first: bool, crop_size: int = 0) -> list[Layer]:
    """The layers of CaffeNet (pooling before norm) or bvlc_alexnet, for training."""
    a, b, c, d, e, fc6, fc7, classes = widths
    norm = {"local_size": 5, "alpha": 1e-4, "beta": 0.75}
    pool = {"kernel_size": 3, "stride": 2}

    def end(number: int) -> list[Layer]:
        pair: list[Layer] = [
            ("LRN", f"norm{number}", norm), ("Pooling", f"pool{number}", pool)
        ]  # fmt: skip
        return pair[::-1] if is_pool_first else pair

    return [
        ("Data", "data", {"crop_size": crop_size}),
        ("Convolution", "conv1", {"num_output": a, "kernel_size": 11, "stride": 4}),
        ("ReLU", "relu1", {}), *end(1),
        ("Convolution", "conv2", {"num_output": b, "pad": 2, "kernel_size": 5, "group": 2}),
        ("ReLU", "relu2", {}), *end(2),
        ("Convolution", "conv3", {"num_output": c, "pad": 1, "kernel_size": 3}),
        ("ReLU", "relu3", {}),
        ("Convolution", "conv4", {"num_output": d, "pad": 1, "kernel_size": 3, "group": 2}),
        ("ReLU", "relu4", {}),
        ("Convolution", "conv5", {"num_output": e, "pad": 1, "kernel_size": 3, "group": 2}),
        ("ReLU", "relu5", {}), ("Pooling", "pool5", pool),
        ("InnerProduct", "fc6", {"num_output": fc6}), ("ReLU", "relu6", {}),
        ("Dropout", "drop6", {}),
        ("InnerProduct", "fc7", {"num_output": fc7}), ("ReLU", "relu7", {}),
        ("Dropout", "drop7", {}),
        ("InnerProduct", "fc8", {"num_output": classes}), ("SoftmaxWithLoss", "loss", {}),
    ]  # fmt: skip


def write_caffemodel(
    path: Path, layers: list[Layer], weights: dict[str, np.ndarray], is_v1: bool
) -> Path:
    """Write a network in the form of 2013 (`layers`) or in the later one (`layer`)."""
    net = MESSAGES["Net"](name="net")
    for kind, name, parameters in layers:
        layer = (net.layers if is_v1 else net.layer).add(name=name)
        layer.type = V1_NUMBERS[kind] if is_v1 else kind
        for parameter, value in parameters.items():
            message = getattr(layer, PARAMETERS[kind])
            if isinstance(value, list):
                getattr(message, parameter).extend(value)
            else:
                setattr(message, parameter, value)
        for part in ("weight", "bias"):
            if f"{name}.{part}" in weights:
                _add_blob(layer, weights[f"{name}.{part}"], is_v1)
    path.write_bytes(net.SerializeToString())
    return path


def _add_blob(layer: Any, array: np.ndarray, is_v1: bool) -> None:
    blob = layer.blobs.add()
    blob.data.extend(array.ravel().tolist())
    if is_v1:
        shape = (1, 1, 1, 1, *array.shape)[-4:]
        blob.num, blob.channels, blob.height, blob.width = shape
    else:
        blob.shape.dim.extend(array.shape)
