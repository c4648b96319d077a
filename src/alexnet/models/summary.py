"""The layers and totals of an architecture as values and as tables, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alexnet.io.html import escape, panel
from alexnet.io.tables import Cell, Table
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    Conv,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)

HEADER = (
    "layer", "type", "output", "kernel", "stride", "padding", "groups", "parameters", "MACs",
    "share of MACs", "neurons", "receptive field", "input stride",
)  # fmt: skip
"""Kernel, stride and padding are in pixels of the layer's input; receptive field and input stride
in pixels of the network's input."""
NO_WINDOW = (None,) * 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSummary:
    """A layer; a value that its type does not have is null."""

    name: str
    kind: str
    """Type of the layer, such as conv."""
    function: str | None
    """Function of an activation, such as relu; max or average of a pooling; null for other
    layers."""
    output: tuple[int, ...]
    """Shape of the output, without the batch."""
    kernel: int | None
    stride: int | None
    padding: int | None
    extra_padding: int | None
    """Additional zero padding at the right and at the bottom."""
    groups: int | None
    parameters: int
    macs: int
    neurons: int
    receptive_field: int
    """Side of the square of pixels of the network's input that one output depends on."""
    input_stride: int
    """Distance between neighboring outputs, in pixels of the network's input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkTotals:
    """Sums over all layers."""

    parameters: int
    """Number of parameters, with batch-norm statistics, as in Keras."""
    parameters_without_fc_bias: int
    macs: int
    neurons: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSummary:
    """Layers and totals of a network."""

    name: str
    input: tuple[int, ...]
    """Channels, height and width of the network's input."""
    layers: tuple[LayerSummary, ...]
    totals: NetworkTotals


def summarize_network(net: Architecture) -> NetworkSummary:
    """The layers and totals of a network, as a value that can be written as JSON."""
    infos = net.layer_infos()
    return NetworkSummary(
        name=net.name,
        input=net.input,
        layers=tuple(map(summarize_layer, infos)),
        totals=totals(infos),
    )


def summarize_layer(info: LayerInfo) -> LayerSummary:
    """A layer as a value that can be written as JSON."""
    kernel, stride, padding, extra_padding, groups = window(info)
    return LayerSummary(
        name=info.layer.name,
        kind=info.layer.kind,
        function=layer_function(info.layer),
        output=info.output,
        kernel=kernel,
        stride=stride,
        padding=padding,
        extra_padding=extra_padding,
        groups=groups,
        parameters=info.parameters,
        macs=info.macs,
        neurons=info.neurons,
        receptive_field=info.receptive_field,
        input_stride=info.input_stride,
    )


def layer_function(layer: Layer) -> str | None:
    """The function of an activation, or "max" or "average" of a pooling; None for other layers."""
    match layer:
        case Activation():
            return layer.function
        case Pool() | AdaptivePool():
            return layer.reduce
    return None


def type_text(layer: Layer) -> str:
    """The type of a layer for people: `conv`, `tanh` of an activation, `average pool`.

    A plain `pool` takes the maximum, a plain `adaptive_pool` the average.
    """
    match layer:
        case Activation():
            return layer.function
        case Pool(reduce="average") | AdaptivePool(reduce="max"):
            return f"{layer.reduce} {layer.kind}"
    return layer.kind


def window(info: LayerInfo) -> tuple[int | None, ...]:
    """(kernel, stride, padding, extra_padding, groups) of a layer; None where it has none."""
    match info.layer:
        case Conv() as conv:
            return conv.kernel, conv.stride, conv.padding, conv.extra_padding, conv.groups
        case Pool() as pool:
            return pool.size, pool.stride, 0, 0, None
        case AdaptivePool() as pool:
            return *pool.receptive_window(info.input), 0, 0, None
        case WithinChannelLRN() as norm:
            return norm.size, 1, norm.size // 2, 0, None
        case ResponseNorm() as norm:
            return None, None, None, None, norm.groups
    return NO_WINDOW


def totals(infos: Sequence[LayerInfo]) -> NetworkTotals:
    """Sums over all layers; batch-norm statistics count as parameters, as in Keras."""
    fc_biases = sum(info.layer.bias_parameters() for info in infos if info.layer.kind == "fc")
    parameters = sum(info.parameters for info in infos)
    return NetworkTotals(
        parameters=parameters,
        parameters_without_fc_bias=parameters - fc_biases,
        macs=sum(info.macs for info in infos),
        neurons=sum(info.neurons for info in infos),
    )


def layer_table(net: Architecture) -> Table:
    """One row per layer, with the columns of HEADER, and the totals."""
    infos = net.layer_infos()
    sums = totals(infos)
    footer: list[Cell] = [None] * len(HEADER)
    footer[0] = "total"
    for name in ("parameters", "MACs", "neurons"):
        footer[HEADER.index(name)] = getattr(sums, name.lower())
    rows = [_cells(info, sums.macs) for info in infos]
    return Table(HEADER, rows, left=2, footer=footer)


def _cells(info: LayerInfo, total_macs: int) -> list[Cell]:
    kernel, stride, padding, extra, groups = window(info)
    return [
        info.layer.name,
        type_text(info.layer),
        shape_text(info.output),
        f"{kernel}x{kernel}" if kernel else None,
        stride,
        f"{padding}+{extra}" if extra else padding,
        groups,
        info.parameters or None,
        info.macs or None,
        info.macs / total_macs if info.macs else None,
        info.neurons or None,
        info.receptive_field,
        info.input_stride,
    ]


SHOWN = ("layer", "type", "output", "kernel", "stride", "padding", "groups", "parameters", "MACs")
"""The columns that a notebook shows."""


def summary_html(net: Architecture) -> str:
    """Name, source, input and layers of a network as HTML."""
    table = layer_table(net).select({name: name for name in SHOWN})
    about = f"{net.source}; input {shape_text(net.input)}"
    return panel(net.name, [escape(about), table.as_html()])


def network_table(nets: Iterable[Architecture]) -> Table:
    """One row per network: name, source, input, totals."""
    rows: list[list[Cell]] = []
    for net in nets:
        sums = totals(net.layer_infos())
        rows.append([net.name, net.source, shape_text(net.input), sums.parameters, sums.macs])
    return Table(("name", "source", "input", "parameters", "MACs"), rows, left=2)


def batch_norm_statistics(infos: Iterable[LayerInfo]) -> int:
    """The number of running means and variances among the parameters, which are not trained."""
    return sum(info.parameters // 2 for info in infos if info.layer.kind == "batch_norm")
