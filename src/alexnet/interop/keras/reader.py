"""Import networks from Keras files: `.keras`, whole models in HDF5, and weights alone.

A config is parsed as JSON and never given to Keras, so no code in it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import parse_json
from alexnet.errors import AlexNetError, ConfigError, ModelFileError
from alexnet.interop.keras.arrays import METADATA
from alexnet.interop.keras.config import LayerConfig, chain_of_layers
from alexnet.interop.keras.layers import (
    AUGMENTATION,
    DROPOUT,
    LayerParser,
    Layout,
    input_layout,
    layer_function,
)
from alexnet.interop.keras.preprocessing import ImageLayers
from alexnet.interop.keras.weights import StoredLayer, stored_layers
from alexnet.interop.keras.weights_only import match_weights
from alexnet.interop.match import MatchedModel, match_layers
from alexnet.interop.metadata import exported_size, read_metadata
from alexnet.interop.one_output import as_two_classes
from alexnet.io.isolated import read_in_subprocess
from alexnet.io.text import error_text
from alexnet.models.architecture import Architecture
from alexnet.runtime.extras import require_extra

READER = "alexnet.interop.keras.arrays:keras_arrays"
ArrayReader: TypeAlias = Callable[[str, Path], dict[str, np.ndarray]]


def read_keras(
    path: Path,
    arch: Architecture,
    input_size: int | None = None,
    *,
    read_arrays: ArrayReader = read_in_subprocess,
) -> MatchedModel:
    """Read an architecture with the widths, the input size and the weights of a Keras file.

    A file of weights alone does not have the input size, unless it is an export of ours. It is then
    `input_size` if given, else the published one if that fits the file's first dense layer, else
    the smallest that does.

    Args:
        path: a `.keras`, `.h5` or `.weights.h5` file of Keras 3 or 2.
        arch: the architecture that the file must match.
        input_size: side of the input in pixels; not used if the file has it.
        read_arrays: a function that calls a reader ("module:function") for a path.

    Raises:
        ModelFileError: the file is damaged or another network; the message names the first
            mismatch.
        UsageError: h5py is not installed.
    """
    require_extra("h5py", "keras", "reading Keras files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    with _as_model_file_error(path):
        arrays = read_arrays(READER, path)
        stored, texts = stored_layers(arrays), _metadata_texts(arrays.get("metadata"))
        if "config" in arrays:
            config = parse_json(arrays["config"].tobytes())
            matched = _Importer(path.name, config, stored).read(arch, input_size)
        else:
            size = input_size or exported_size(texts)
            matched = match_weights(path.name, arch, stored, size)
        return _with_metadata(as_two_classes(path.name, matched), texts)


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


def _with_metadata(matched: MatchedModel, texts: dict[str, str]) -> MatchedModel:
    """The model with the class names and the preprocessing that our export adds to a file.

    If the file also has layers that normalize, the added preprocessing is used only if it agrees
    with them.
    """
    arch, layers = matched.architecture, matched.preprocessing
    facts = read_metadata(texts, arch.input, arch.num_classes)
    own = facts.preprocessing
    is_usable = own is not None and (layers is None or _normalize_alike(own, layers))
    return replace(
        matched,
        preprocessing=own if is_usable else layers,
        mean_image=facts.mean_image if is_usable else None,
        class_names=facts.class_names,
        temperature=facts.temperature,
        notes=(*matched.notes, *facts.notes),
    )


def _metadata_texts(text: np.ndarray | None) -> dict[str, str]:
    """The texts that our export adds to metadata.json, or to a file of weights alone."""
    if text is None:
        return {}
    try:
        plain = parse_json(text.tobytes())
    except ConfigError:
        return {}
    added = plain.get(METADATA, plain) if isinstance(plain, dict) else {}
    items = added.items() if isinstance(added, dict) else ()
    return {key: value for key, value in items if isinstance(value, str)}


def _normalize_alike(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether two preprocessings have the same mean and std, to float32's precision."""
    c = other.channels
    pairs = zip((*one.mean[:c], *one.std[:c]), (*other.mean[:c], *other.std[:c]), strict=True)
    return not one.has_mean_image and all(
        isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in pairs
    )


class _Importer:
    """A reader of a whole model: of its image layers first, then of its network's layers."""

    def __init__(self, file: str, config: Any, stored: list[StoredLayer]) -> None:
        self.file, self.config, self.stored = file, config, stored
        self.layers = _without_output_function(chain_of_layers(file, config))
        self.layout: Layout = input_layout(self.layers)

    def read(self, arch: Architecture, input_size: int | None) -> MatchedModel:
        channels, height, width = self.input_shape()
        images = ImageLayers(self.file, self.stored, channels, height or 0)
        network = self.network_layers(images)
        if height != width and not images.has_size:
            raise ModelFileError(
                f"{self.file} takes images of {height}x{width} pixels; only square ones are "
                "supported"
            )
        images.side = images.side or input_size or arch.input[1]
        shape = (channels, images.side, images.side)
        parser = LayerParser(self.file, shape, self.layout, self.stored)
        matched = match_layers(self.file, parser.parse(network), arch, shape)
        return replace(
            matched,
            preprocessing=images.preprocessing(arch),
            notes=(*images.notes, *self.notes_on_ignored_layers()),
        )

    def network_layers(self, images: ImageLayers) -> list[LayerConfig]:
        """Add the layers that prepare images to `images`, and return the layers after them."""
        for i, layer in enumerate(self.layers):
            is_image_layer = layer.class_name in AUGMENTATION | DROPOUT | {"InputLayer", "Identity"}
            if layer.class_name == "Permute":  # also where the image layers are behind it
                continue
            if not (is_image_layer or images.take(layer)):
                before = [one for one in self.layers[:i] if one.class_name == "Permute"]
                return before + self.layers[i:]
        return []

    def input_shape(self) -> tuple[int, int | None, int | None]:
        """Channels, height and width of the file's input; None for a side that may be any."""
        shapes = (_declared_shape(layer.options) for layer in self.layers)
        built = (self.config.get("build_config") or {}).get("input_shape")
        shape = next((shape for shape in shapes if shape), built)
        if not isinstance(shape, list) or len(shape) != 4:
            raise ModelFileError(
                f"{self.file} has the input {shape}, and not one of images; build the model with "
                "keras.Input((height, width, channels)) before saving"
            )
        c, *sides = shape[1:] if self.layout == "chw" else (shape[3], *shape[1:3])
        if c not in (1, 3):
            raise ModelFileError(f"{self.file} takes images of {c} channels, not of 1 or 3")
        height, width = (None if side is None else int(side) for side in sides)
        return int(c), height, width

    def notes_on_ignored_layers(self) -> Iterator[str]:
        ignored = [str(layer) for layer in self.layers if layer.class_name in AUGMENTATION]
        if ignored:
            shown = ", ".join(ignored[:4]) + (", ..." if len(ignored) > 4 else "")
            yield f"{self.file} has layers for training only, which are left out: {shown}"


def _declared_shape(options: dict[str, Any]) -> Any:
    """The input's shape, with the batch, in the options of a layer; None if they have none."""
    return options.get("batch_shape") or options.get("batch_input_shape")


def _without_output_function(layers: list[LayerConfig]) -> list[LayerConfig]:
    """The layers without a final softmax, which is a layer or the last layer's activation.

    A final sigmoid of a single output is left out, too; see `as_two_classes`.
    """
    used = [layer for layer in layers if layer.class_name not in AUGMENTATION | DROPOUT]
    units = [layer.options["units"] for layer in used if "units" in layer.options]
    functions = ("softmax", "sigmoid") if units[-1:] == [1] else ("softmax",)
    if not used or layer_function(used[-1]) not in functions:
        return layers
    last = used[-1]
    end = layers.index(last)
    if "units" not in last.options:
        return layers[:end]
    return [*layers[:end], replace(last, options={**last.options, "activation": "linear"})]
