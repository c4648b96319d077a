"""Small valid files of every kind that users may bring, made from a seed.

Each kind has a reader: the program's own function for it, which returns the content as bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.checkpoints.weights import read_weights
from alexnet.config.presets import preset
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.data.datasets import cifar10
from alexnet.data.datasets.flowers17 import MEMBER, TOTAL, read_splits
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.datasets.mnist import read_idx
from alexnet.inference.classifier import Classifier
from alexnet.interop.class_names import read_class_names
from alexnet.interop.importer import import_model
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.io.archives import archive_files
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, FullyConnected, Pool
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from alexnet.training.run_folder import read_recipe

NAMES = ("rose", "tulip", "daisy")
BATCH_RECORDS = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file."""

    name: str
    suffix: str
    content: bytes
    read: Callable[[Path], bytes]
    """The content as the program reads it; raises an AlexNetError."""
    has_checksum: bool = False
    """Whether a checksum in the file covers everything that is read from it."""


def file_kinds(seed: int, folder: Path) -> list[Kind]:
    """One valid file of every kind."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    lenet = variant(ZOO["lenet5"], ModelOptions(width=0.5), num_classes=3)
    notebook = variant(
        ZOO["alexnet_notebook"], ModelOptions(width=0.02, input_size=215), num_classes=3
    )
    ZOO["lenet5"], ZOO["alexnet_notebook"] = lenet, notebook  # narrow nets, so that files are small
    cifar10.BATCH_RECORDS = BATCH_RECORDS
    state = Network(lenet).state_dict()
    made = [*_models(lenet, state, folder), *_foreign(lenet, notebook, state, folder)]
    return [*made, *_data_sets(rng, folder), *_lists(folder)]


def _models(table: Architecture, state: dict[str, Tensor], folder: Path) -> list[Kind]:
    info = ModelInfo(
        architecture=table,
        class_names=NAMES,
        preprocessing=published_preprocessing("published", table),
        recipe=Recipe(arch="lenet5"),
    )
    save_model(folder / "whole.safetensors", state, info)
    content = (folder / "whole.safetensors").read_bytes()
    recipe = to_json(preset("flowers17")).encode()
    return [
        Kind("model", ".safetensors", content, _model, has_checksum=True),
        Kind("recipe", ".json", recipe, lambda path: to_json(read_recipe(path)).encode()),
    ]


def _model(path: Path) -> bytes:
    """Read a model, and run it once."""
    weights, info, mean = load_model(path)
    with torch.device("meta"):
        network = Network(info.architecture)
    network = network.to_empty(device="cpu").eval()
    network.load_state_dict(weights)
    pixels = np.zeros(
        (1, info.preprocessing.resize_size, info.preprocessing.resize_size, 3), np.uint8
    )
    Classifier(network, info, mean, "float32").probabilities(pixels)
    return to_json(info).encode() + tensor_bytes(weights)


def _foreign(
    lenet: Architecture, notebook: Architecture, state: dict[str, Tensor], folder: Path
) -> list[Kind]:
    torch.save(state, folder / "whole.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "other.safetensors")
    weights = keras_weights(notebook)
    keras = io.BytesIO()
    with zipfile.ZipFile(keras, "w") as archive:
        archive.writestr("config.json", json.dumps(keras_config(notebook)))
        archive.writestr("model.weights.h5", weights)
    return [
        Kind("torch file", ".pth", (folder / "whole.pth").read_bytes(), _weights),
        Kind("old torch file", ".pth", (folder / "old.pth").read_bytes(), _weights),
        Kind(
            "other safetensors",
            ".safetensors",
            (folder / "other.safetensors").read_bytes(),
            _weights,
        ),
        Kind("state dict", ".pth", (folder / "whole.pth").read_bytes(), _imported("lenet5")),
        Kind("Keras weights", ".weights.h5", weights, _imported("alexnet_notebook")),
        Kind("Keras model", ".keras", keras.getvalue(), _imported("alexnet_notebook")),
        Kind("ONNX", ".onnx", onnx_file(lenet, state), _imported("lenet5")),
    ]


def _weights(path: Path) -> bytes:
    return tensor_bytes(read_weights(path, ZOO["alexnet_owt"]).tensors)


def _imported(arch: str) -> Callable[[Path], bytes]:
    def read(path: Path) -> bytes:
        imported = import_model(path, arch)
        return to_json(imported.info.architecture).encode() + tensor_bytes(imported.weights)

    return read


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Names, shapes and values."""
    parts: list[bytes] = []
    for name, tensor in sorted(tensors.items()):
        array = tensor.detach().contiguous().numpy()
        parts.append(f"{name} {array.dtype} {array.shape}".encode("utf-8", "backslashreplace"))
        parts.append(array.tobytes())
    return b"".join(parts)


def keras_weights(table: Architecture) -> bytes:
    """The weights of an architecture as Keras 3 saves them."""
    file, counts = io.BytesIO(), dict.fromkeys(("conv2d", "dense", "batch_normalization"), 0)
    kinds = {"conv": "conv2d", "fc": "dense", "batch_norm": "batch_normalization"}
    network = Network(table)
    with h5py.File(file, "w") as root:
        for layer in table.layers:
            if layer.kind not in kinds:
                continue
            kind = kinds[layer.kind]
            group = f"layers/{kind}" + (f"_{counts[kind]}" if counts[kind] else "") + "/vars"
            counts[kind] += 1
            for number, array in enumerate(_keras_arrays(network, layer.name)):
                root[f"{group}/{number}"] = array
    return file.getvalue()


def _keras_arrays(network: Network, name: str) -> Iterable[np.ndarray]:
    """OIHW as HWIO, (out, in) as (in, out)."""
    state = network.get_submodule(name).state_dict()
    for kind, tensor in state.items():
        if kind != "num_batches_tracked":
            array = tensor.numpy()
            yield array.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim, (0,)))


def keras_config(table: Architecture) -> dict[str, object]:
    """The configuration that Keras 3 saves, as far as our reader uses it."""
    _, height, width = table.input
    layers: list[dict[str, object]] = [
        {
            "class_name": "InputLayer",
            "config": {"name": "input", "batch_shape": [None, height, width, 3]},
        }
    ]
    for layer in table.layers:
        kind, options = "Flatten", dict[str, object]()
        if isinstance(layer, Conv):
            kind, options = "Conv2D", {
                "filters": layer.channels, "kernel_size": [layer.kernel] * 2,
                "strides": [layer.stride] * 2, "padding": "valid", "use_bias": True,
            }  # fmt: skip
        elif isinstance(layer, FullyConnected):
            kind, options = "Dense", {"units": layer.features, "use_bias": True}
        elif isinstance(layer, Pool):
            sides = [layer.size] * 2
            kind, options = "MaxPooling2D", {"pool_size": sides, "strides": [layer.stride] * 2}
        elif isinstance(layer, Activation):
            kind, options = "Activation", {"activation": layer.function}
        elif layer.kind == "batch_norm":
            kind = "BatchNormalization"
            options = {"epsilon": layer.eps, "momentum": 1 - layer.momentum}  # type: ignore[attr-defined]
        elif layer.kind == "dropout":
            kind, options = "Dropout", {"rate": layer.p}  # type: ignore[attr-defined]
        layers.append({"class_name": kind, "config": {"name": layer.name, **options}})
    return {"class_name": "Sequential", "config": {"layers": layers}}


def onnx_file(table: Architecture, state: dict[str, Tensor]) -> bytes:
    """An architecture of convolutions, pools, tanh and linear layers as an ONNX graph."""
    nodes, current = [], "images"
    for layer in table.layers:
        weights = [f"{layer.name}.weight", f"{layer.name}.bias"]
        if isinstance(layer, Conv):
            sides, stride = [layer.kernel] * 2, [layer.stride] * 2
            made = helper.make_node(
                "Conv", [current, *weights], [layer.name], kernel_shape=sides, strides=stride
            )
        elif isinstance(layer, FullyConnected):
            made = helper.make_node("Gemm", [current, *weights], [layer.name], transB=1)
        elif isinstance(layer, Pool):
            sides, stride = [layer.size] * 2, [layer.stride] * 2
            op = "MaxPool" if layer.reduce == "max" else "AveragePool"
            made = helper.make_node(op, [current], [layer.name], kernel_shape=sides, strides=stride)
        elif isinstance(layer, Activation):
            made = helper.make_node(layer.function.capitalize(), [current], [layer.name])
        else:
            made = helper.make_node("Flatten", [current], [layer.name])
        nodes.append(made)
        current = layer.name
    values = [numpy_helper.from_array(t.numpy(), name) for name, t in state.items()]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *table.input])
    taken = helper.make_tensor_value_info(current, TensorProto.FLOAT, ["n", table.num_classes])
    graph = helper.make_graph(nodes, "net", [given], [taken], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def _data_sets(rng: np.random.Generator, folder: Path) -> list[Kind]:
    records = rng.integers(0, 10, (BATCH_RECORDS, cifar10.RECORD_BYTES), dtype=np.uint8).tobytes()
    images = {f"jpg/image_{i:04d}.jpg": rng.bytes(300) for i in range(1, 6)}
    batches = {f"{cifar10.FOLDER}/{name}": records for name in cifar10.BATCHES}
    digits = b"\0\0\x08\x03" + np.array([4, 28, 28], ">u4").tobytes() + rng.bytes(4 * 28 * 28)
    loose, packed = tar(images), gzip.compress(tar(batches))
    numbers = np.arange(1, TOTAL + 1).reshape(17, 80)
    parts = {"trn1": numbers[:, :40], "val1": numbers[:, 40:60], "tst1": numbers[:, 60:]}
    return [
        Kind("images in a .tgz", ".tgz", gzip.compress(loose), _members, has_checksum=True),
        Kind("images in a .tar.xz", ".tar.xz", lzma.compress(loose), _members, has_checksum=True),
        Kind("images in a .tar", ".tar", loose, _members),
        Kind("CIFAR-10 in a .tar.gz", ".tar.gz", packed, _cifar, has_checksum=True),
        Kind("CIFAR-10 batch", ".bin", records, _records),
        Kind("digits", "", digits, _idx),
        Kind("packed digits", ".gz", gzip.compress(digits), _idx, has_checksum=True),
        Kind("packed splits", ".mat", mat(parts, True), _splits),
        Kind("splits", ".mat", mat(parts, False), _splits),
    ]  # fmt: skip


def tar(members: dict[str, bytes]) -> bytes:
    """A tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def mat(parts: dict[str, np.ndarray], compressed: bool) -> bytes:
    """A .mat file."""
    file = io.BytesIO()
    savemat(file, parts, do_compression=compressed)
    return file.getvalue()


def _members(path: Path) -> bytes:
    found = archive_files(path, MEMBER, 1 << 20)
    return b"".join(member.name.encode() + content for member, content in found)


def _cifar(path: Path) -> bytes:
    images = np.zeros((6 * BATCH_RECORDS, 32, 32, 3), np.uint8)
    labels = np.zeros(6 * BATCH_RECORDS, np.uint8)
    cifar10._fill(path, images, labels)
    return images.tobytes() + labels.tobytes()


def _records(path: Path) -> bytes:
    return cifar10._parse_records(path.read_bytes(), str(path)).tobytes()


def _idx(path: Path) -> bytes:
    array = read_idx(path)
    return f"{array.dtype} {array.shape}".encode() + array.tobytes()


def _splits(path: Path) -> bytes:
    return " ".join(read_splits(path, 1)).encode()


def _lists(folder: Path) -> list[Kind]:
    rows = [("path", "label", "split")]
    for i in range(8):
        Image.new("RGB", (2, 2), (i, i, i)).save(folder / f"{i}.png")
        rows.append((f"{i}.png", "ab"[i % 2], "train" if i < 6 else "test"))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return [
        Kind("CSV", ".csv", text.getvalue().encode(), _listing),
        Kind("JSON Lines", ".jsonl", _json_lines(rows), _listing),
        Kind("Parquet", ".parquet", _parquet(folder, rows), _listing),
        Kind("class names", ".txt", "\n".join(NAMES).encode(), _class_names),
    ]


def _json_lines(rows: list[tuple[str, str, str]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(rows[0], row, strict=True))) for row in rows[1:]).encode()


def _parquet(folder: Path, rows: list[tuple[str, str, str]]) -> bytes:
    names, labels, splits = zip(*rows[1:], strict=True)
    images = [(folder / name).read_bytes() for name in names]
    file = io.BytesIO()
    table = pa.table({"image": images, "label": labels, "split": splits})
    pq.write_table(table, file, row_group_size=3)
    return file.getvalue()


def _listing(path: Path) -> bytes:
    source = list_source(path)
    rows = zip(source.names, source.labels.tolist(), source.splits, strict=True)
    return repr((source.class_names, list(rows))).encode()


def _class_names(path: Path) -> bytes:
    return "\n".join(read_class_names(path)).encode()
