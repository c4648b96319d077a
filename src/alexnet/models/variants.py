"""Variants of an architecture: another activation, norm, pooling, dropout, width or input."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from alexnet.errors import (
    ConfigError,
    require,
    require_at_least,
    require_below_1,
    require_choice,
    require_finite,
)
from alexnet.io.text import short_repr
from alexnet.models.architecture import Architecture
from alexnet.models.field_checks import is_integer, is_number, make_numbers_plain
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)

ActivationOption: TypeAlias = Literal["published", "relu", "tanh", "sigmoid"]
NormOption: TypeAlias = Literal["published", "none", "response", "batch"]
PoolingOption: TypeAlias = Literal["published", "overlapping", "non_overlapping"]
InitOption: TypeAlias = Literal["published", "scaled", "he", "glorot"]

NORMS = (ResponseNorm, WithinChannelLRN, BatchNorm)
GROUPED_CONVS = ("conv2", "conv4", "conv5")
"""The convolutions that the paper splits over two GPUs (section 3.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """What differs from the published architecture; by default nothing.

    Raises:
        ConfigError: an unknown word, or a number out of range; the message names the flag.
    """

    activation: ActivationOption = "published"
    """Activation function of all layers."""
    norm: NormOption = "published"
    """none: no normalization layers; response: response norm after the first two activations;
    batch: batch norm after every layer with weights but the last."""
    pooling: PoolingOption = "published"
    """overlapping: 3x3 windows, stride 2; non_overlapping: 2x2 windows, stride 2."""
    dropout: float | None = None
    """Probability of every dropout layer; 0 removes them; None: as published."""
    groups: int | None = None
    """Groups of conv2, conv4 and conv5, and of response norms that are grouped; None: as
    published."""
    width: float = 1.0
    """Factor on the channels and hidden features; the results are rounded to multiples of 4."""
    input_size: int | None = None
    """Side of the square input in pixels; None: as published."""
    channels: int | None = None
    """Color channels of the input, 1 or 3; None: as published."""
    init: InitOption = "published"
    """Initialization of all weights: scaled (published standard deviations, larger where a narrower
    net or a smaller input leaves a layer fewer inputs, so that signals keep their size), he
    (normal) or glorot (uniform)."""
    bias: float | None = None
    """Initial value of the biases that the publication starts above 0; None: as published."""

    def __post_init__(self) -> None:
        make_numbers_plain(self)
        self._check_types()
        require_finite(self)
        for name, choices in (
            ("activation", ActivationOption),
            ("norm", NormOption),
            ("pooling", PoolingOption),
            ("init", InitOption),
        ):
            require_choice(self, name, get_args(choices))
        require_below_1(self, "dropout")
        require_at_least(self, 1, "groups", "input_size")
        require(self.width > 0, f"--width {self.width} must be above 0")
        require(self.channels in (None, 1, 3), f"--channels {self.channels} must be 1 or 3")

    def _check_types(self) -> None:
        for name in ("dropout", "width", "bias"):
            value = getattr(self, name)
            is_right = is_number(value) or (value is None and name != "width")
            require(is_right, f"--{name} {short_repr(value)} must be a number")
        for name in ("groups", "input_size", "channels"):
            value, flag = getattr(self, name), name.replace("_", "-")
            is_right = value is None or is_integer(value)
            require(is_right, f"--{flag} {short_repr(value)} must be a whole number")


AS_PUBLISHED = ModelOptions()


def variant(
    arch: Architecture, options: ModelOptions = AS_PUBLISHED, *, num_classes: int | None = None
) -> Architecture:
    """The architecture, changed as `options` say.

    Args:
        arch: any architecture.
        options: what to change.
        num_classes: length of the output, which the last layer with weights gets; None: as it is.

    Raises:
        ConfigError: `num_classes` is no whole number of at least 1, or the last layer with weights
            does not decide the length of the output.
        ArchitectureError: the input is too small for the layers, or the groups do not divide the
            channels.
    """
    if num_classes is not None:
        is_right = is_integer(num_classes)
        require(is_right, f"num_classes {short_repr(num_classes)} must be a whole number")
        require(num_classes >= 1, f"num_classes {num_classes} must be at least 1")
    layers = arch.layers
    if options.norm != "published":
        layers = tuple(_with_norm(arch, options.norm))
    if options.dropout == 0:
        layers = tuple(layer for layer in layers if not isinstance(layer, Dropout))
    layers = tuple(
        _with_outputs(_change(layer, options), num_classes)
        if layer.name == arch.output_layer
        else _with_width(_change(layer, options), options.width)
        for layer in layers
    )
    channels, sides = options.channels or arch.input[0], arch.input[1:]
    if options.input_size:
        sides = (options.input_size, options.input_size)
    changed = replace(arch, layers=layers, input=(channels, *sides))
    if num_classes not in (None, changed.num_classes):
        raise ConfigError(
            f"{arch.name} cannot have {num_classes} classes: its output has {changed.num_classes} "
            "values, not those of its last layer with weights alone "
            f"({arch.output_layer or 'none'}); end it with FullyConnected, or with Conv, "
            "AdaptivePool of size 1 and Flatten"
        )
    return _with_scaled_init(changed, arch) if options.init == "scaled" else changed


def _change(layer: Layer, options: ModelOptions) -> Layer:
    """A layer changed by the options for its type, except norm, width, input and classes."""
    if isinstance(layer, Conv | FullyConnected):
        layer = replace(layer, init=_init(layer, options))
    match layer:
        case Activation() if options.activation != "published":
            return replace(layer, function=options.activation)
        case Pool() if options.pooling != "published":
            return replace(layer, size=3 if options.pooling == "overlapping" else 2, stride=2)
        case Dropout() if options.dropout is not None:
            return replace(layer, p=options.dropout)
        case Conv() if options.groups and layer.name in GROUPED_CONVS:
            return replace(layer, groups=options.groups)
        case ResponseNorm() if options.groups and layer.groups > 1:
            return replace(layer, groups=options.groups)
    return layer


def _init(layer: Conv | FullyConnected, options: ModelOptions) -> Init:
    init = layer.init
    if options.init in ("he", "glorot"):
        init = replace(init, kind="he_normal" if options.init == "he" else "glorot_uniform")
    if options.bias is not None and init.bias > 0:
        init = replace(init, bias=options.bias)
    return init


def _with_scaled_init(arch: Architecture, published: Architecture) -> Architecture:
    """The architecture with standard deviations times sqrt(published fan-in / fan-in).

    Initializations of other kinds depend on the fan-in already.
    """
    fan_ins = _fan_ins(published)

    def scaled(layer: Layer, fan_in: int) -> Layer:
        if not isinstance(layer, Conv | FullyConnected) or layer.init.kind != "normal":
            return layer
        std = layer.init.std * math.sqrt(fan_ins[layer.name] / fan_in)
        return replace(layer, init=replace(layer.init, std=std))

    own = _fan_ins(arch)
    return replace(arch, layers=tuple(scaled(layer, own[layer.name]) for layer in arch.layers))


def _fan_ins(arch: Architecture) -> dict[str, int]:
    """Number of inputs of each output, by layer name; 0 for layers without weights."""
    return {
        info.layer.name: (info.parameters - info.layer.bias_parameters()) // info.output[0]
        for info in arch.layer_infos()
    }


def _with_width(layer: Layer, width: float) -> Layer:
    match layer:
        case Conv():
            return replace(layer, channels=_scale(layer.channels, width))
        case FullyConnected():
            return replace(layer, features=_scale(layer.features, width))
    return layer


def _scale(count: int, width: float) -> int:
    return count if width == 1 else max(4, 4 * round(count * width / 4))


def _with_outputs(layer: Layer, count: int | None) -> Layer:
    match layer:
        case Conv() if count is not None:
            return replace(layer, channels=count)
        case FullyConnected() if count is not None:
            return replace(layer, features=count)
    return layer


def _with_norm(arch: Architecture, norm: NormOption) -> Iterator[Layer]:
    """The layers without their norms and, for "response" or "batch", with norms of that type."""
    kept = [layer for layer in arch.layers if not isinstance(layer, NORMS)]
    activations = [layer.name for layer in kept if isinstance(layer, Activation)]
    names = {layer.name for layer in kept}
    for layer in kept:
        if isinstance(layer, Conv | FullyConnected):
            gets_batch_norm = norm == "batch" and layer.name != arch.output_layer
            yield replace(layer, bias=not gets_batch_norm)
            if gets_batch_norm:
                name = _batch_norm_name(layer.name, names)
                names.add(name)
                yield BatchNorm(name)
        else:
            yield layer
        if norm == "response" and layer.name in activations[:2]:
            yield ResponseNorm(f"norm{activations.index(layer.name) + 1}")


def _batch_norm_name(layer: str, taken: Collection[str]) -> str:
    """The name of a layer's batch norm: bn1 for conv1; bn_fc1 for fc1 if bn1 is taken."""
    name = "bn" + layer.removeprefix("conv").removeprefix("fc")
    return f"bn_{layer}" if name in taken else name


def single_tower(arch: Architecture) -> Architecture:
    """One of an architecture's two towers: half the channels of conv1-4; conv5 and fc unchanged.

    Source: Paper, section 3.2, footnote 2: the one-GPU net keeps the channels of the last
    convolution, because most of the parameters are in the layer after it.
    """
    return replace(arch, layers=tuple(_in_single_tower(layer) for layer in arch.layers))


def _in_single_tower(layer: Layer) -> Layer:
    match layer:
        case ResponseNorm():
            return replace(layer, groups=1)
        case Conv():
            channels = layer.channels if layer.name == "conv5" else layer.channels // 2
            return replace(layer, channels=channels, groups=1)
    return layer


def independent_towers(arch: Architecture) -> Architecture:
    """An architecture whose two towers first meet in fc6: conv3 is grouped, too."""
    layers = tuple(
        replace(layer, groups=2) if isinstance(layer, Conv) and layer.name == "conv3" else layer
        for layer in arch.layers
    )
    return replace(arch, layers=layers)
