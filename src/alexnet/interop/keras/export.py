"""Write a model as a Keras 3 file; Keras itself is not needed.

Layers keep their names. The file's outputs are the logits, without a softmax.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import Tensor

from alexnet.config.serialization import json_text
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import FileOptions
from alexnet.interop.importer import build_network
from alexnet.interop.keras.arrays import (
    METADATA,
    TEXT_MEMBERS,
    WEIGHTS_MEMBER,
    keras_arrays,
)
from alexnet.interop.keras.config import Config, snake_case
from alexnet.interop.keras.layers import same_padding
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import BATCH_NORM, feature_order
from alexnet.interop.parity import Runner, normalize_array, torch_runner
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
)

KERAS_VERSION = "3.0.0"
"""Version that is written into the file; later versions read it, too."""
LAST = {"data_format": "channels_last"}


@dataclass
class KerasLayer:
    """A layer of the file."""

    class_name: str
    name: str
    options: Config = field(default_factory=dict)
    arrays: Sequence[np.ndarray] = ()
    """The layer's arrays in Keras's order and layout."""


def keras_bytes(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
    """A Keras file, a function that runs the network read back from it, and a name for that.

    Args:
        classifier: the model.
        options: the name determines what is written: `.weights.h5` has weights alone, for a model
            of the same layers; any other name is for a whole model, which takes images of 0 to 255
            [batch, H, W, C] and normalizes them, unless the model has a mean image.

    Raises:
        UsageError: Keras has no layer for one of the model's.
    """
    layers = list(keras_layers(classifier))
    if is_weights_only(options.name):
        content = _hdf5(layers, options.metadata)
    else:
        content = _archive(layers, classifier.network.architecture, options.metadata)
    return content, _read_back(content, options.name, classifier), "the file, read back"


def is_weights_only(name: str) -> bool:
    """Whether a file of this name has weights alone."""
    return name.endswith(".weights.h5")


def normalizes(classifier: Classifier, name: str) -> bool:
    """Whether a file of this name takes images of 0 to 255."""
    return not is_weights_only(name) and not classifier.info.preprocessing.has_mean_image


def backend_notes(classifier: Classifier) -> tuple[str, ...]:
    """Notes for the file's user on Keras's backends; usually none."""
    padded = [
        one.name
        for one in keras_layers(classifier)
        if one.class_name == "AveragePooling2D" and one.options["padding"] == "same"
    ]
    if not padded:
        return ()
    return (
        f"{', '.join(padded)} need Keras on TensorFlow or JAX: on torch, Keras 3.15's average "
        "pooling with padding 'same' counts the padding, and the logits differ",
    )


def keras_layers(classifier: Classifier) -> Iterator[KerasLayer]:
    """Yield the layers of the file that follow its input layer.

    Raises:
        UsageError: Keras has no layer for one of the model's.
    """
    preprocessing = classifier.info.preprocessing
    if not preprocessing.has_mean_image:
        c = preprocessing.channels
        variance = [std * std for std in preprocessing.std[:c]]
        options = {"axis": [-1], "mean": list(preprocessing.mean[:c]), "variance": variance}
        yield KerasLayer("Normalization", "normalization", options)
    arch = classifier.network.architecture
    arrays = _keras_arrays(arch, classifier.network.state_dict())
    for info in arch.layer_infos():
        writer = WRITERS.get(type(info.layer))
        if writer is None:
            raise UsageError(
                f"{arch.name} has {info.layer.name} ({info.layer.kind}), for which Keras has no "
                "layer; --format onnx writes it"
            )
        yield from writer(info, arrays.get(info.layer.name, ()))


def _keras_arrays(
    arch: Architecture, state: dict[str, Tensor]
) -> dict[str, tuple[np.ndarray, ...]]:
    """The arrays of each layer in Keras's order and layout, by our name of the layer.

    Keras flattens with the channels last; if our network does not, the features after it are
    reordered.
    """
    arrays: dict[str, tuple[np.ndarray, ...]] = {}
    order: np.ndarray | None = None
    for info in arch.layer_infos():
        name, layer = info.layer.name, info.layer
        if isinstance(layer, Flatten) and layer.order == "chw" and len(info.input) == 3:
            order = feature_order(info.input, "hwc")
        names = BATCH_NORM if isinstance(layer, BatchNorm) else ("weight", "bias")
        found = [state[f"{name}.{n}"].cpu().numpy() for n in names if f"{name}.{n}" in state]
        if isinstance(layer, BatchNorm):
            arrays[name] = tuple(a if order is None else a[order] for a in found)
        elif isinstance(layer, FullyConnected):
            kernel = found[0] if order is None else found[0][:, order]
            arrays[name], order = (kernel.T, *found[1:]), None
        elif isinstance(layer, Conv):
            arrays[name] = (found[0].transpose(2, 3, 1, 0), *found[1:])
    return arrays


def _conv(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, Conv)
    before, after = layer.padding, layer.padding + layer.extra_padding
    kernel, stride = layer.kernel, layer.stride
    is_same = all(same_padding(n, kernel, stride) == (before, after) for n in info.input[1:])
    if after and not is_same:
        pads = [[before, after]] * 2
        yield KerasLayer("ZeroPadding2D", f"{layer.name}_padding", {"padding": pads, **LAST})
    options = {
        "filters": layer.channels,
        "kernel_size": [kernel, kernel],
        "strides": [stride, stride],
        "padding": "same" if after and is_same else "valid",
        "groups": layer.groups,
        "use_bias": layer.bias,
    }
    yield KerasLayer("Conv2D", layer.name, {**options, **LAST}, arrays)


def _dense(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, FullyConnected)
    yield KerasLayer("Dense", layer.name, {"units": layer.features, "use_bias": layer.bias}, arrays)


def _activation(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, Activation)
    yield KerasLayer("Activation", layer.name, {"activation": layer.function})


def _batch_norm(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, BatchNorm)
    options = {"axis": -1, "momentum": 1 - layer.momentum, "epsilon": layer.eps}
    yield KerasLayer("BatchNormalization", layer.name, options, arrays)


def _pool(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, Pool)
    size, stride, sides = layer.size, layer.stride, info.input[1:]
    is_valid = replace(layer, ceil=False).output(info.input) == info.output
    has_no_start = all(same_padding(n, size, stride)[0] == 0 for n in sides)
    is_same = has_no_start and info.output[1:] == tuple(-(-n // stride) for n in sides)
    if not is_valid and not is_same:
        raise UsageError(
            f"{layer.name} makes {info.output[1]} windows of {sides[0]} pixels, which no pooling "
            "of Keras does; --format onnx writes it"
        )
    yield _pool_layer(layer, size, stride, layer.reduce, "valid" if is_valid else "same")


def _pool_layer(layer: Layer, size: int, stride: int, reduce: str, padding: str) -> KerasLayer:
    options = {"pool_size": [size, size], "strides": [stride, stride], "padding": padding}
    return KerasLayer(f"{reduce.title()}Pooling2D", layer.name, {**options, **LAST})


def _adaptive_pool(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer, side = info.layer, info.input[1]
    assert isinstance(layer, AdaptivePool)
    if side % layer.size:
        raise UsageError(
            f"{layer.name} makes {layer.size} values of {side}, which no pooling of all versions "
            "of Keras does; --format onnx writes it"
        )
    size = side // layer.size
    if size > 1:
        yield _pool_layer(layer, size, size, layer.reduce, "valid")


def _dropout(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    layer = info.layer
    assert isinstance(layer, Dropout)
    yield KerasLayer("Dropout", layer.name, {"rate": layer.p})


def _flatten(info: LayerInfo, arrays: Sequence[np.ndarray]) -> Iterator[KerasLayer]:
    yield KerasLayer("Flatten", info.layer.name, LAST)


WRITERS: dict[type[Layer], Callable[[LayerInfo, Sequence[np.ndarray]], Iterator[KerasLayer]]] = {
    Conv: _conv,
    FullyConnected: _dense,
    Activation: _activation,
    BatchNorm: _batch_norm,
    Pool: _pool,
    AdaptivePool: _adaptive_pool,
    Dropout: _dropout,
    Flatten: _flatten,
}
"""Functions that write our layers, by type."""


def _config(layers: Sequence[KerasLayer], arch: Architecture) -> Config:
    """The config of a Sequential model as Keras 3 writes it; options left out are the defaults."""

    def entry(class_name: str, options: Config) -> Config:
        place = {"module": "keras.layers", "class_name": class_name, "registered_name": None}
        return {**place, "config": options}

    c, h, w = arch.input
    shape = [None, h, w, c]
    images = entry("InputLayer", {"batch_shape": shape, "dtype": "float32", "name": "images"})
    entries = [entry(one.class_name, {"name": one.name, **one.options}) for one in layers]
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": arch.name, "layers": [images, *entries]},
        "registered_name": None,
        "build_config": {"input_shape": shape},
    }


def _hdf5(layers: Sequence[KerasLayer], metadata: dict[str, str]) -> bytes:
    """The weights as HDF5; Keras 3 finds a layer by its class and number within the class."""
    import h5py

    content, counts = io.BytesIO(), dict[str, int]()
    with h5py.File(content, "w", track_times=False) as file:
        if metadata:
            file[METADATA] = np.frombuffer(json_text(metadata, None).encode(), np.uint8)
        for one in layers:
            layer_type = snake_case(one.class_name)
            number = counts.get(layer_type, 0)
            counts[layer_type] = number + 1
            path = f"layers/{layer_type}" + (f"_{number}" if number else "")
            group = file.create_group(f"{path}/vars")
            group.attrs["name"] = one.name
            for i, array in enumerate(one.arrays):
                group.create_dataset(str(i), data=array, track_times=False)
    return content.getvalue()


def _archive(layers: Sequence[KerasLayer], arch: Architecture, metadata: dict[str, str]) -> bytes:
    """The bytes of a `.keras` file."""
    saved = datetime.now(UTC)
    texts = {
        "keras_version": KERAS_VERSION,
        "date_saved": f"{saved:%Y-%m-%d@%H:%M:%S}",
        METADATA: metadata,
    }
    config = _config(layers, arch)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(TEXT_MEMBERS["metadata"], json_text(texts, None))
        archive.writestr(TEXT_MEMBERS["config"], json.dumps(config))
        archive.writestr(WEIGHTS_MEMBER, _hdf5(layers, {}))
    return content.getvalue()


def _read_back(content: bytes, name: str, classifier: Classifier) -> Runner:
    """A function that runs the network as imported from the file, with its image layers."""
    arch = classifier.network.architecture

    def read_arrays(reader: str, path: Path) -> dict[str, np.ndarray]:
        return {key: array for key, array in keras_arrays(path).items() if key != "metadata"}

    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        model = read_keras(path, arch, arch.input[1], read_arrays=read_arrays)
    network = torch_runner(build_network(model))
    preprocessing = model.preprocessing
    if preprocessing is None:
        return network
    return lambda images: network(normalize_array(images, preprocessing))
