"""The tutorial's table of AlexNet, with its seven columns and its formulas, of any architecture.

Convolutions count the bias, in the parameters and once per output in the forward computation; fully
connected layers count it in neither. Other layers are not counted.

Source: Tutorial, the table of AlexNet's layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from alexnet.io.tables import Cell, Table
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Pool,
    ResponseNorm,
    Shape,
    WithinChannelLRN,
)

HEADER = (
    "Size / Operation", "Filter", "Depth", "Stride", "Padding", "Number of Parameters",
    "Forward Computation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters and forward computation of a layer, and the formulas that give them."""

    parameters: int
    forward: int
    parameters_formula: str
    forward_formula: str

    @property
    def cells(self) -> tuple[str, str]:
        """The cells of the last two columns."""
        return (
            f"{self.parameters_formula} = {self.parameters}",
            f"{self.forward_formula} = {self.forward}",
        )


def tutorial_counts(infos: Sequence[LayerInfo]) -> dict[str, Counts]:
    """The counts of convolutions and fully connected layers, by the layer's name."""
    counts: dict[str, Counts] = {}
    flattened: Shape = ()
    for info in infos:
        match info.layer:
            case Flatten():
                flattened = info.input
            case Conv() as conv:
                counts[conv.name] = _conv_counts(conv, info)
            case FullyConnected() as fc:
                counts[fc.name] = _fc_counts(fc, info, flattened or info.input)
                flattened = ()
    return counts


def _conv_counts(conv: Conv, info: LayerInfo) -> Counts:
    weights = f"{conv.kernel}*{conv.kernel}*{info.input[0] // conv.groups}"
    formula = f"({weights} + 1) * {conv.channels}" if conv.bias else f"{weights} * {conv.channels}"
    positions = _size(info.output[1:])
    forward = info.parameters * prod(info.output[1:])
    return Counts(info.parameters, forward, formula, f"{formula} * {positions}")


def _fc_counts(fc: FullyConnected, info: LayerInfo, read: Shape) -> Counts:
    """Counts of a layer that reads a vector, or a feature map of shape `read` as a vector."""
    formula = f"{_size(read)} * {fc.features}"
    return Counts(info.parameters - fc.bias_parameters(), info.macs, formula, formula)


def tutorial_table(net: Architecture) -> Table:
    """The tutorial's table of a network: the operations and, between them, the output sizes."""
    infos = net.layer_infos()
    counts = tutorial_counts(infos)
    rows: list[list[Cell]] = [_row(_size(net.input))]
    for info, before in zip(infos, ("", *(one.layer.name for one in infos)), strict=False):
        if isinstance(info.layer, Activation) and before in counts:
            rows[-2][0] = f"{rows[-2][0]} + {info.layer.function.capitalize()}"
        elif operation := _operation(info, counts):
            rows.append(operation)
        if isinstance(info.layer, Conv | FullyConnected | Pool | AdaptivePool):
            rows.append(_row(_size(info.output)))
    if rows[-1][0] == str(net.num_classes):
        rows[-1] = _row(f"{net.num_classes} classes")
    return Table(HEADER, [*rows, *_sum_rows(infos)], left=len(HEADER))


def _row(operation: str, *cells: str | int | None) -> list[Cell]:
    texts = [None if cell is None else str(cell) for cell in cells]
    return [operation, *texts, *[None] * (len(HEADER) - 1 - len(texts))]


def _size(shape: Shape) -> str:
    return " * ".join(map(str, shape))


def _operation(info: LayerInfo, counts: dict[str, Counts]) -> list[Cell] | None:
    """The row of a layer; None for a flattening, which has none."""
    match info.layer:
        case Conv() as conv:
            return _conv_row(conv, counts[conv.name])
        case FullyConnected(name=name):
            return _row(name.upper(), None, None, None, None, *counts[name].cells)
        case Pool() | AdaptivePool() as pool:
            kernel, stride = pool.receptive_window(info.input)
            title = f"{pool.reduce.capitalize()} Pooling"
            return _row(title, f"{kernel} * {kernel}", None, stride)
        case Activation(function=function):
            return _row(function.capitalize())
        case ResponseNorm() | WithinChannelLRN():
            return _row("Norm")
        case BatchNorm():
            return _row("Batch Norm")
        case Dropout(p=p):
            return _row(f"Dropout (rate {p:g})")
    return None


def _conv_row(conv: Conv, counts: Counts) -> list[Cell]:
    kernel, padding = f"{conv.kernel} * {conv.kernel}", str(conv.padding or "")
    if conv.extra_padding:
        padding = f"{conv.padding} + {conv.extra_padding}"
    return _row(conv.name.capitalize(), kernel, conv.channels, conv.stride, padding, *counts.cells)


def _sum_rows(infos: Sequence[LayerInfo]) -> list[list[Cell]]:
    sums = _sums(infos)
    parameters, forward = sums["overall"]
    overall = (f"{parameters} = {_rounded(parameters)}", f"{forward} = {_rounded(forward)}")
    shares = [
        ", ".join(
            f"{kind}: {_rounded(sums[key][i])} ({sums[key][i] / max(1, total):.0%})"
            for kind, key in (("Conv", "conv layers"), ("FC", "fc layers"))
        )
        for i, total in enumerate((parameters, forward))
    ]
    empty = (None,) * 4
    return [_row("Overall", *empty, *overall), _row("Conv VS FC", *empty, *shares)]


def _sums(infos: Sequence[LayerInfo]) -> dict[str, tuple[int, int]]:
    """(parameters, forward computation): sums over all layers, convolutions, and fc layers."""
    counts = tutorial_counts(infos)
    sums = {"overall": (0, 0), "conv layers": (0, 0), "fc layers": (0, 0)}
    for info in infos:
        if count := counts.get(info.layer.name):
            for key in ("overall", f"{info.layer.kind} layers"):
                sums[key] = sums[key][0] + count.parameters, sums[key][1] + count.forward
    return sums


def _rounded(number: int) -> str:
    """A large number in words, to one decimal."""
    for unit, name in ((10**9, " billion"), (10**6, " million"), (10**3, " thousand")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return str(number)


@dataclass(frozen=True, kw_only=True, slots=True)
class TutorialRow:
    """The counts of a layer with weights, or of several together."""

    name: str
    """Name of the layer, or of a sum: overall, conv layers or fc layers."""
    parameters: int
    forward_computation: int
    parameters_formula: str | None
    """How the number of parameters of a layer is computed; null for a sum."""
    forward_formula: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TutorialSummary:
    """A network's counts as the tutorial makes them."""

    name: str
    rows: tuple[TutorialRow, ...]
    """Every layer with weights, then the sums."""


def summarize_as_tutorial(net: Architecture) -> TutorialSummary:
    """The counts of the tutorial's table, as a value that can be written as JSON."""
    infos = net.layer_infos()
    return TutorialSummary(name=net.name, rows=(*_layer_counts(infos), *_sum_counts(infos)))


def _layer_counts(infos: Sequence[LayerInfo]) -> Iterator[TutorialRow]:
    for name, counts in tutorial_counts(infos).items():
        yield TutorialRow(
            name=name,
            parameters=counts.parameters,
            forward_computation=counts.forward,
            parameters_formula=counts.parameters_formula,
            forward_formula=counts.forward_formula,
        )


def _sum_counts(infos: Sequence[LayerInfo]) -> Iterator[TutorialRow]:
    for name, (parameters, forward) in _sums(infos).items():
        yield TutorialRow(
            name=name,
            parameters=parameters,
            forward_computation=forward,
            parameters_formula=None,
            forward_formula=None,
        )
