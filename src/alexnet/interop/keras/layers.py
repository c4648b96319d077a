"""Convert the layers of a Keras config to our layers, with their arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from alexnet.errors import ArchitectureError, ModelFileError
from alexnet.interop.keras.config import Config, LayerConfig
from alexnet.interop.keras.weights import (
    VARIABLES,
    StoredLayer,
    Variables,
    find_stored,
    torch_arrays,
)
from alexnet.interop.match import ParsedLayer
from alexnet.io.text import short_repr
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    Shape,
    output_size,
)

Layout: TypeAlias = Literal["hwc", "chw"]
Parse: TypeAlias = Callable[["LayerParser", LayerConfig], list[Layer]]
DATA_FORMATS: dict[str, Layout] = {"channels_last": "hwc", "channels_first": "chw"}
PERMUTATIONS: dict[tuple[Layout, tuple[int, ...]], Layout] = {
    ("hwc", (1, 2, 3)): "hwc",
    ("chw", (1, 2, 3)): "chw",
    ("hwc", (3, 1, 2)): "chw",
    ("chw", (2, 3, 1)): "hwc",
}
"""The layout after a Permute, by the layout before it and its axes."""
DROPOUT = frozenset({"Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout"})
AUGMENTATION = frozenset(
    {"AugMix", "CutMix", "MixUp", "RandAugment"}
    | {"ActivityRegularization", "GaussianNoise", "RandomBrightness", "RandomColorDegeneration"}
    | {"RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing"}
    | {"RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue"}
    | {"RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation"}
    | {"RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth"}
    | {"RandomZoom"}
)
"""Layers that have an effect in training only."""
ACTIVATIONS = {"Softmax": "softmax", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu"}
"""Layers that are an activation function."""
QUANTIZED = ("int8", "int4", "float8", "gptq", "awq")
HOW_TO_GO_ON = (
    "in Keras, model.export('model.onnx', format='onnx') writes a file without such code, "
    "which alexnet import also reads"
)


def function_name(value: Any) -> str:
    """The name of an activation in a config: a text, a serialized function, or a layer."""
    if not isinstance(value, dict):
        return str(value or "linear")
    options, class_name = value.get("config"), str(value.get("class_name"))
    return options if isinstance(options, str) else _layer_function(class_name, options or {})


def layer_function(layer: LayerConfig) -> str:
    """The name of the activation function that a layer is or ends in; "linear" if none."""
    if layer.class_name == "ReLU" or layer.class_name in ACTIVATIONS:
        return _layer_function(layer.class_name, layer.options)
    return function_name(layer.options.get("activation"))


def _layer_function(class_name: str, options: Config) -> str:
    """The name of the function of a layer that is an activation function."""
    if class_name == "Activation":
        return function_name(options.get("activation"))
    if class_name == "ReLU":
        limits = [
            name for name in ("max_value", "negative_slope", "threshold") if options.get(name)
        ]
        return " ".join(["relu", *(f"{name}={options[name]:g}" for name in limits)])
    return ACTIVATIONS.get(class_name, class_name)


class LayerParser:
    """A parser that converts the layers of a chain to ours, one after the other.

    Args:
        file: the file's name, for messages.
        shape: (channels, height, width) of the input.
        layout: the order of the axes of the input.
        stored: the arrays of the file.
    """

    def __init__(
        self, file: str, shape: Shape, layout: Layout, stored: Sequence[StoredLayer]
    ) -> None:
        self.file, self.shape, self.layout, self.stored = file, shape, layout, stored
        self.padding: tuple[LayerConfig, tuple[int, int]] | None = None
        """A ZeroPadding2D and its pixels (left and top, right and bottom) for the next conv."""

    def fail(self, layer: LayerConfig, reason: str) -> NoReturn:
        """Raise ModelFileError for a layer."""
        raise ModelFileError(f"{self.file}: {layer} {reason}")

    def parse(self, layers: Sequence[LayerConfig]) -> Iterator[ParsedLayer]:
        """Yield our layers; layers that do nothing in inference are left out.

        Raises:
            ModelFileError: a layer has no equivalent here.
        """
        for layer in layers:
            if layer.class_name not in DROPOUT | AUGMENTATION | {"InputLayer", "Identity"}:
                try:
                    yield from self._parse(layer)
                except (ArchitectureError, ValueError) as error:
                    self.fail(layer, f"cannot be imported: {error}")

    def _parse(self, layer: LayerConfig) -> Iterator[ParsedLayer]:
        if layer.class_name not in PARSERS:
            self.reject(layer)
        self.check_options(layer)
        padding = self.padding
        for own in PARSERS[layer.class_name](self, layer):
            function = f" ({own.function})" if isinstance(own, Activation) else ""
            yield ParsedLayer(own, f"{layer}{function}", self.weights(own, layer))
            self.shape = own.output(self.shape)
        if padding and padding is self.padding:
            self.fail(padding[0], f"stands before {layer}; it is supported before Conv2D only")
        function = layer_function(layer)
        if "use_bias" in layer.options and function != "linear":
            activation = Activation("activation", function)  # type: ignore[arg-type]
            yield ParsedLayer(activation, f"{layer} activation {function!r}")

    def reject(self, layer: LayerConfig) -> NoReturn:
        """Raise ModelFileError for a layer of a type that is not supported at its place."""
        if layer.class_name == "Lambda":
            reason = f", whose Python code is not run; {HOW_TO_GO_ON}"
        elif layer.class_name in ("Rescaling", "Normalization", "Resizing", "CenterCrop"):
            reason = " after the first layer of the network; it is supported before it only"
        else:
            reason = ", which no architecture here has; it is not run"
        raise ModelFileError(f"{self.file} has the layer {layer}{reason}")

    def check_options(self, layer: LayerConfig) -> None:
        """Reject options that our layers do not have."""
        options = layer.options
        if options.get("dilation_rate", [1, 1]) not in (1, [1, 1]):
            shown = short_repr(options["dilation_rate"])
            self.fail(layer, f"has dilation_rate {shown}; only [1, 1] is supported")
        has_format = "data_format" in options and layer.class_name != "Flatten"
        if has_format and DATA_FORMATS.get(options["data_format"]) != self.layout:
            shown = short_repr(options["data_format"])
            self.fail(layer, f"has data_format {shown}, but its input is {self.layout}")
        policy = options.get("dtype")
        name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
        if str(name).startswith(QUANTIZED):
            self.fail(layer, f"is quantized ({short_repr(name)}); save the model before quantize()")

    def weights(self, own: Layer, layer: LayerConfig) -> Variables:
        """The arrays of a layer by torch's names."""
        if isinstance(own, BatchNorm):
            return self.batch_norm_arrays(layer)
        if isinstance(own, Conv | FullyConnected):
            names = VARIABLES["dense"][: 1 + bool(layer.options.get("use_bias", True))]
            return self.arrays(layer, names)
        return {}

    def batch_norm_arrays(self, layer: LayerConfig) -> Variables:
        """The arrays of a batch norm; a missing scale is ones and a missing center zeros."""
        absent = {"gamma": "scale", "beta": "center"}
        names = [
            name
            for name in VARIABLES["batch_normalization"]
            if layer.options.get(absent.get(name, ""), True)
        ]
        channels = self.shape[0]
        neutral = {"weight": np.ones(channels, np.float32), "bias": np.zeros(channels, np.float32)}
        return neutral | self.arrays(layer, names)

    def arrays(self, layer: LayerConfig, names: Sequence[str]) -> Variables:
        """The file's arrays of a layer by torch's names."""
        found = find_stored(self.stored, layer)
        return torch_arrays(found.named(names)) if found.variables else {}

    def conv_padding(self, kernel: int, stride: int, padding: str) -> tuple[int, int]:
        """The padding of a convolution: zeros at the left and top, and at the right and bottom."""
        before, after = self.padding[1] if self.padding else (0, 0)
        self.padding = None
        if padding == "same":
            more = {same_padding(n + before + after, kernel, stride) for n in self.shape[1:]}
            if len(more) > 1:
                raise ValueError("its padding 'same' differs between height and width")
            first, last = more.pop()
            return before + first, after + last
        if padding != "valid":
            raise ValueError(f"its padding is {short_repr(padding)}")
        return before, after


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `length` pixels so that there are ceil(length / stride) windows."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def square(value: Any, name: str) -> int:
    """The number n in n or [n, n]."""
    sides = [value, value] if isinstance(value, int) else value
    is_square = isinstance(sides, list) and len(sides) == 2 and sides[0] == sides[1]
    if not is_square or not isinstance(sides[0], int):
        raise ValueError(f"its {name} is {short_repr(value)}; only square ones are supported")
    return sides[0]


def _conv(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    options = layer.options
    kernel = square(options["kernel_size"], "kernel_size")
    stride = square(options["strides"], "strides")
    before, after = parser.conv_padding(kernel, stride, options["padding"])
    if after < before and any(
        output_size(n + after - before, kernel, stride, before, False)
        != output_size(n, kernel, stride, before, False)
        for n in parser.shape[1:]
    ):
        raise ValueError(f"it has {before} zeros at the left and {after} at the right")
    groups = int(options.get("groups", 1))
    extra = max(0, after - before)
    return [Conv("conv", int(options["filters"]), kernel, stride, before, extra, groups)]


def _dense(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    return [FullyConnected("fc", int(layer.options["units"]))]


def _pool(parser: LayerParser, layer: LayerConfig, reduce: Literal["max", "average"]) -> Layer:
    options = layer.options
    size = square(options["pool_size"], "pool_size")
    stride = square(options["strides"] or size, "strides")
    if options.get("padding", "valid") == "valid":
        return Pool("pool", size, stride, reduce=reduce)
    pool = Pool("pool", size, stride, ceil=True, reduce=reduce)
    sides = parser.shape[1:]
    before = max(same_padding(n, size, stride)[0] for n in sides)
    if before or pool.output(parser.shape)[1:] != tuple(-(-n // stride) for n in sides):
        raise ValueError(
            f"its padding 'same' adds {before} pixels at the left and top of {sides[0]}; pooling "
            "here has no padding"
        )
    return pool


def _max_pool(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    return [_pool(parser, layer, "max")]


def _average_pool(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    return [_pool(parser, layer, "average")]


def _adaptive_pool(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    reduce: Literal["max", "average"] = "max" if "Max" in layer.class_name else "average"
    if not layer.class_name.startswith("Global"):
        size = square(layer.options["output_size"], "output_size")
        return [AdaptivePool("pool", size, reduce)]
    is_nothing = parser.shape[1:] == (1, 1)
    pools: list[Layer] = [] if is_nothing else [AdaptivePool("pool", 1, reduce)]
    return pools if layer.options.get("keepdims") else [*pools, Flatten("flatten", "hwc")]


def _activation(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    function = layer_function(layer)
    is_nothing = function == "linear"
    return [] if is_nothing else [Activation("activation", function)]  # type: ignore[arg-type]


def _batch_norm(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    options = layer.options
    axis = options.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    rank = 1 + len(parser.shape)
    channel_axis = 1 if parser.layout == "chw" else rank - 1
    if axis not in (channel_axis, channel_axis - rank):
        raise ValueError(f"its axis is {short_repr(axis)}, and the channels are {channel_axis}")
    return [BatchNorm("bn", float(options["epsilon"]), 1 - float(options["momentum"]))]


def _flatten(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    if len(parser.shape) == 1:
        return []
    transposes = layer.options.get("data_format") == "channels_first"
    if transposes and parser.layout == "hwc":
        raise ValueError("its data_format is 'channels_first' for a channels_last image")
    return [Flatten("flatten", "hwc" if transposes else parser.layout)]


def _reshape(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    target = list(layer.options["target_shape"])
    c, *sides = parser.shape
    present = [c, *sides] if parser.layout == "chw" else [*sides, c]
    if target == present:
        return []
    if len(target) == 1 and target[0] in (-1, prod(parser.shape)):
        return [Flatten("flatten", parser.layout)]
    raise ValueError(f"it makes {short_repr(target)} of {present}")


def _permute(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    dims = tuple(layer.options["dims"])
    if (parser.layout, dims) not in PERMUTATIONS:
        raise ValueError(f"it permutes a {parser.layout} image by {short_repr(dims)}")
    parser.layout = PERMUTATIONS[parser.layout, dims]
    return []


def _zero_padding(parser: LayerParser, layer: LayerConfig) -> list[Layer]:
    rows, columns = _pairs(layer.options["padding"])
    if rows != columns:
        raise ValueError(f"it pads rows by {rows} and columns by {columns}")
    before, after = parser.padding[1] if parser.padding else (0, 0)
    parser.padding = layer, (before + rows[0], after + rows[1])
    return []


def _pairs(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding as ((top, bottom), (left, right)).

    It is given as n, [rows, columns] or [[top, bottom], [left, right]].
    """
    both = [padding] * 2 if isinstance(padding, int) else padding
    rows, columns = ([n, n] if isinstance(n, int) else n for n in both)
    return (int(rows[0]), int(rows[1])), (int(columns[0]), int(columns[1]))


PARSERS: dict[str, Parse] = {
    "Conv2D": _conv,
    "Dense": _dense,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": _adaptive_pool,
    "GlobalMaxPooling2D": _adaptive_pool,
    "AdaptiveAveragePooling2D": _adaptive_pool,
    "AdaptiveMaxPooling2D": _adaptive_pool,
    "Activation": _activation,
    "ReLU": _activation,
    **dict.fromkeys(ACTIVATIONS, _activation),
    "BatchNormalization": _batch_norm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
}
"""Functions that convert a layer, by Keras's class name."""


def input_layout(layers: Sequence[LayerConfig]) -> Layout:
    """The order of the axes of a chain's input, which the first layer with a data format tells."""
    options: list[Config] = []
    for layer in layers:
        if "data_format" in layer.options and layer.class_name != "Flatten":
            found = DATA_FORMATS.get(str(layer.options["data_format"]), "hwc")
            is_swapped = sum(tuple(o["dims"]) in ((3, 1, 2), (2, 3, 1)) for o in options) % 2
            swapped: Layout = "chw" if found == "hwc" else "hwc"
            return swapped if is_swapped else found
        if layer.class_name == "Permute":
            options.append(layer.options)
    return "hwc"
