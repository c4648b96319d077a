"""A new table from an old one, with another activation, norm, pooling, dropout, width or input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)

ActivationOption: TypeAlias = Literal["published", "relu", "tanh", "sigmoid"]
NormOption: TypeAlias = Literal["published", "none", "response", "batch"]
PoolingOption: TypeAlias = Literal["published", "overlapping", "non_overlapping"]
InitOption: TypeAlias = Literal["published", "he", "glorot"]

AS_PUBLISHED = 0
"""For a number: leave it as the table has it."""


def variant(
    table: Architecture,
    *,
    activation: ActivationOption = "published",
    norm: NormOption = "published",
    pooling: PoolingOption = "published",
    dropout: float = -1.0,
    groups: int = AS_PUBLISHED,
    width: float = 1.0,
    input_size: int = AS_PUBLISHED,
    channels: int = AS_PUBLISHED,
    init: InitOption = "published",
    bias: float = -1.0,
    classes: int = AS_PUBLISHED,
) -> Architecture:
    """The table with some of its choices changed; what is not named stays as published.

    Args:
        table: any architecture.
        activation: one function for every nonlinearity.
        norm: `none` drops every norm; `response` is the paper's after the first two nonlinearities;
            `batch` follows every weight layer but the last.
        pooling: `overlapping` is 3 x 3 with stride 2, `non_overlapping` 2 x 2 with stride 2.
        dropout: rate of every dropout layer; 0 drops them; below 0 keeps them as published.
        groups: columns of conv2, conv4 and conv5 (the paper's places) and of the norms.
        width: factor on the channels and hidden features, rounded to multiples of 4.
        input_size: side of the square input in pixels.
        channels: colours of the input.
        init: how every weight begins; `he` and `glorot` scale with the layer's inputs.
        bias: first value of the biases that begin above 0; below 0 keeps them as published.
        classes: length of the output.

    Raises:
        ConfigError: a value out of range.
        ArchitectureError: the input is too small for what is left, or the groups do not divide the
            channels.
    """
    _check_words(activation, norm, pooling, init)
    _check_numbers(table.name, width, dropout, groups, input_size, channels, classes)
    layers = table.layers
    if norm != "published":
        layers = tuple(_with_norm(layers, norm))
    last = next(layer.name for layer in reversed(layers) if isinstance(layer, FullyConnected))
    changes: tuple[Callable[[Layer], Layer | None], ...] = (
        lambda layer: _with_activation(layer, activation),
        lambda layer: _with_pooling(layer, pooling),
        lambda layer: _with_dropout(layer, dropout),
        lambda layer: _with_groups(layer, groups),
        lambda layer: _with_init(layer, init, bias),
        lambda layer: layer if layer.name == last else _with_width(layer, width),
        lambda layer: _with_classes(layer, classes) if layer.name == last else layer,
    )
    for change in changes:
        layers = tuple(changed for layer in layers if (changed := change(layer)) is not None)
    colours, side = channels or table.input[0], input_size or table.input[1]
    return replace(table, layers=layers, input=(colours, side, side))


def _check_words(activation: str, norm: str, pooling: str, init: str) -> None:
    choices = (
        (activation, ActivationOption),
        (norm, NormOption),
        (pooling, PoolingOption),
        (init, InitOption),
    )
    for word, known in choices:
        if word not in get_args(known):
            raise ConfigError(f"{word!r} is not one of {', '.join(get_args(known))}")


def _check_numbers(
    name: str,
    width: float,
    dropout: float,
    groups: int,
    input_size: int,
    channels: int,
    classes: int,
) -> None:
    is_fair = 0 < width < math.inf and -math.inf < dropout < 1
    if not is_fair or min(groups, input_size, channels, classes) < 0:
        raise ConfigError(
            f"variant of {name}: width {width} must be above 0, dropout {dropout} below 1, "
            f"groups {groups}, input_size {input_size}, channels {channels} and classes {classes} "
            "not negative"
        )


def _with_activation(layer: Layer, activation: ActivationOption) -> Layer:
    if activation == "published" or not isinstance(layer, Activation):
        return layer
    return replace(layer, function=activation)


def _with_pooling(layer: Layer, pooling: PoolingOption) -> Layer:
    if pooling == "published" or not isinstance(layer, Pool):
        return layer
    return replace(layer, size=3 if pooling == "overlapping" else 2, stride=2)


def _with_dropout(layer: Layer, rate: float) -> Layer | None:
    if rate < 0 or not isinstance(layer, Dropout):
        return layer
    return replace(layer, p=rate) if rate > 0 else None


def _with_groups(layer: Layer, groups: int) -> Layer:
    is_columned = isinstance(layer, Conv) and layer.name in ("conv2", "conv4", "conv5")
    is_norm = isinstance(layer, ResponseNorm) and layer.groups > 1
    if not groups or not (is_columned or is_norm):
        return layer
    return replace(layer, groups=groups)  # type: ignore[call-arg]


def _with_init(layer: Layer, init: InitOption, bias: float) -> Layer:
    if not isinstance(layer, Conv | FullyConnected):
        return layer
    kind = layer.init.kind
    if init != "published":
        kind = "he_normal" if init == "he" else "glorot_uniform"
    first = bias if bias >= 0 and layer.init.bias > 0 else layer.init.bias
    return replace(layer, init=replace(layer.init, kind=kind, bias=first))


def _with_width(layer: Layer, width: float) -> Layer:
    if isinstance(layer, Conv):
        return replace(layer, channels=_scaled(layer.channels, width))
    if isinstance(layer, FullyConnected):
        return replace(layer, features=_scaled(layer.features, width))
    return layer


def _scaled(count: int, width: float) -> int:
    return count if width == 1 else max(4, 4 * round(count * width / 4))


def _with_classes(layer: Layer, classes: int) -> Layer:
    return (
        replace(layer, features=classes or layer.features)
        if isinstance(layer, FullyConnected)
        else layer
    )


def _with_norm(layers: tuple[Layer, ...], norm: NormOption) -> Iterator[Layer]:
    """The layers with every norm taken out and, where asked, the other kind put in."""
    last = [layer.name for layer in layers if isinstance(layer, FullyConnected)][-1]
    activations = [layer.name for layer in layers if isinstance(layer, Activation)]
    for layer in layers:
        if isinstance(layer, ResponseNorm | WithinChannelLRN | BatchNorm):
            continue
        gets_batch_norm = (
            isinstance(layer, Conv | FullyConnected) and norm == "batch" and layer.name != last
        )
        if isinstance(layer, Conv | FullyConnected):
            yield replace(layer, bias=not gets_batch_norm)
        else:
            yield layer
        suffix = layer.name.removeprefix("conv").removeprefix("fc")
        if gets_batch_norm:
            yield BatchNorm(f"bn{suffix}")
        if norm == "response" and layer.name in activations[:2]:
            yield ResponseNorm(f"norm{activations.index(layer.name) + 1}")


def single_tower(table: Architecture) -> Architecture:
    """One column of a two-column net: half the maps in conv1-4; conv5 and fc as they are.

    Source: Paper, section 3.2, footnote 2: the one-GPU net keeps the last convolution's maps, since
    most parameters follow it.
    """
    layers = tuple(_in_one_column(layer) for layer in table.layers)
    return replace(table, layers=layers)


def _in_one_column(layer: Layer) -> Layer:
    if isinstance(layer, ResponseNorm):
        return replace(layer, groups=1)
    if isinstance(layer, Conv):
        is_last = layer.name == "conv5"
        return replace(layer, channels=layer.channels // (1 if is_last else 2), groups=1)
    return layer


def independent_towers(table: Architecture) -> Architecture:
    """A two-column net whose columns first meet in fc6: conv3, too, sees its own column only."""
    layers = tuple(
        replace(layer, groups=2) if isinstance(layer, Conv) and layer.name == "conv3" else layer
        for layer in table.layers
    )
    return replace(table, layers=layers)
