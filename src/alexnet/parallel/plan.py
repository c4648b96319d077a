"""How a network is spread over processes: the part of every layer, and what is exchanged around it.

Plain values without torch. The numbers of `traffic.py` and the networks of `network.py` follow from
the same plan. Activations are in one of three states:

- "whole": every process has all images and all channels.
- "rows": every process has its own images, with all channels (data parallel).
- "parts": every process has all images, with its own channels or features (model parallel).

Sources: Paper, sections 3.1 and 3.5 (columns); Krizhevsky 2014, "One weird trick for parallelizing
convolutional neural networks" (hybrid).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd, prod
from typing import Literal, TypeAlias

from alexnet.errors import ConfigError, require
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    FullyConnected,
    ResponseNorm,
    Shape,
)

Scheme: TypeAlias = Literal["data", "columns", "hybrid"]
"""data: every process has the whole network and some of the images; columns: each has a column of a
network with several, as in the paper; hybrid: convolutions as in data, and a part of the features
of each fully connected layer."""
State: TypeAlias = Literal["whole", "rows", "parts"]
Split: TypeAlias = Literal["none", "outputs", "inputs", "inputs and bias"]
"""Which parameters of a layer a process has. none: all; outputs: those of its outputs; inputs: the
weights of its inputs, and all biases; inputs and bias: the weights of its inputs, and the biases of
its outputs."""
Move: TypeAlias = Literal[
    "gather rows",
    "gather channels",
    "neighbors",
    "sum to channels",
    "sum to rows",
    "channels to rows",
    "gather logits",
]
"""Exchanges of activations. Backward each is the transposed exchange of gradients: what was copied
is summed, and what was summed is copied. Only "gather logits" sends none back, because every
process computes the same loss."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Activations that the processes exchange before or after a layer."""

    move: Move
    shape: Shape
    """Shape of the whole activation, for one image."""
    reach: tuple[int, int] = (0, 0)
    """Numbers of channels before and after its own that a process needs in the move "neighbors"."""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer, how it is split among processes, and the exchanges around it."""

    info: LayerInfo
    split: Split = "none"
    before: Exchange | None = None
    after: Exchange | None = None
    takes_own: bool = False
    """Whether a process takes its own channels of an input that it has all of."""
    state: State = "rows"
    """State of the activations that the layer computes, before the exchange after it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is spread over processes."""

    architecture: Architecture
    scheme: Scheme
    processes: int
    layers: tuple[PlannedLayer, ...]


def part(length: int, processes: int, rank: int) -> range:
    """The positions of a dimension that a process has; the first parts may be longer by 1."""
    size, more = divmod(length, processes)
    start = rank * size + min(rank, more)
    return range(start, start + size + (rank < more))


def needed_part(channels: int, processes: int, rank: int, reach: tuple[int, int]) -> range:
    """The channels that a process needs: its own, and up to `reach` before and after them."""
    own = part(channels, processes, rank)
    return range(max(0, own.start - reach[0]), min(channels, own.stop + reach[1]))


def overlap(a: range, b: range) -> range:
    """The positions that are in both ranges; an empty range where there are none."""
    start = max(a.start, b.start)
    return range(start, max(start, min(a.stop, b.stop)))


def plan_for(arch: Architecture, scheme: Scheme, processes: int) -> Plan:
    """The plan by which a network is spread over processes.

    Raises:
        ConfigError: the scheme does not fit the network or the number of processes.
    """
    planners: dict[str, Callable[[Architecture, int], tuple[PlannedLayer, ...]]] = {
        "data": _data,
        "columns": _columns,
        "hybrid": _hybrid,
    }
    return Plan(arch, scheme, processes, planners[scheme](arch, processes))


def _data(arch: Architecture, processes: int) -> tuple[PlannedLayer, ...]:
    return tuple(map(PlannedLayer, arch.layer_infos()))


def num_columns(arch: Architecture) -> int:
    """The columns of a network: the groups of its grouped convolutions; 1 if none is grouped."""
    groups = [one.groups for one in arch.layers if isinstance(one, Conv) and one.groups > 1]
    return gcd(*groups) if groups else 1


def _columns(arch: Architecture, processes: int) -> tuple[PlannedLayer, ...]:
    _check_columns(arch, processes)
    state: State = "whole"
    layers = []
    for info in arch.layer_infos():
        planned = _in_columns(arch, info, state, processes)
        state = planned.state
        layers.append(planned)
    return _with_output(layers, "gather logits")


def _with_output(layers: list[PlannedLayer], move: Move) -> tuple[PlannedLayer, ...]:
    """The layers, and an exchange after the last one if every process has a part of the logits."""
    last = layers[-1]
    if last.state == "parts" and last.after is None:
        layers[-1] = replace(last, after=Exchange(move, last.info.output))
    return tuple(layers)


def _check_columns(arch: Architecture, processes: int) -> None:
    columns = num_columns(arch)
    require(
        columns > 1,
        f"{arch.name} has no columns: none of its convolutions has groups, as those of alexnet and "
        "alexnet_2012 have; use --parallel data or hybrid",
    )
    require(
        processes > 1 and columns % processes == 0,
        f"{arch.name} has {columns} columns, one for each process, and there are {processes} "
        f"processes; use --devices {columns}, or --parallel data or hybrid",
    )


def _in_columns(arch: Architecture, info: LayerInfo, state: State, processes: int) -> PlannedLayer:
    """The plan of a layer of a network in columns; `state` says how its input is divided."""
    layer, gather = info.layer, Exchange("gather channels", info.input)
    needed = gather if state == "parts" else None
    match layer:
        case Conv(groups=1) | FullyConnected():
            _check_divisible(info, processes)
            return PlannedLayer(info, "outputs", before=needed, state="parts")
        case Conv():
            return PlannedLayer(info, "outputs", takes_own=state == "whole", state="parts")
        case ResponseNorm() if state == "parts" and layer.groups % processes:
            require(
                layer.groups == 1,
                f"{layer.name} of {arch.name} has {layer.groups} groups, which {processes} columns "
                "cannot share; use --parallel data or hybrid",
            )
            reach = layer.size // 2, (layer.size - 1) // 2
            return PlannedLayer(info, before=Exchange("neighbors", info.input, reach), state=state)
        case Flatten():  # its order may not keep the channels of a process together
            return PlannedLayer(info, before=needed, state="whole")
        case BatchNorm() if state == "whole":
            raise ConfigError(
                f"{layer.name} of {arch.name} normalizes what all columns share, which --parallel "
                "columns cannot train; use --parallel data or hybrid"
            )
        case BatchNorm():
            return PlannedLayer(info, "outputs", state=state)
    return PlannedLayer(info, state=state)


def _hybrid(arch: Architecture, processes: int) -> tuple[PlannedLayer, ...]:
    infos = arch.layer_infos()
    names = [info.layer.name for info in infos if isinstance(info.layer, FullyConnected)]
    require(
        bool(names),
        f"{arch.name} has no fully connected layers for --parallel hybrid; use --parallel data",
    )
    require(
        processes > 1,
        "--parallel hybrid needs at least 2 processes: use --devices 2, or leave it out",
    )
    state: State = "rows"
    layers = []
    for info in infos:
        planned = _in_hybrid(info, state, names, processes)
        state = "rows" if planned.after and planned.after.move == "sum to rows" else planned.state
        layers.append(planned)
    return _with_output(layers, "channels to rows")


def _in_hybrid(info: LayerInfo, state: State, names: list[str], processes: int) -> PlannedLayer:
    """A layer of a hybrid; `names` are those of the fully connected layers.

    The first is split by its outputs (column-wise), which then are the inputs of the second; that
    and all later ones are split by their inputs (row-wise), and give sums that are incomplete.
    """
    name = info.layer.name
    if isinstance(info.layer, BatchNorm):
        return PlannedLayer(info, "outputs" if state == "parts" else "none", state=state)
    if name not in names:
        return PlannedLayer(info, state=state)
    if name == names[-1] and name != names[0]:
        total = Exchange("sum to rows", info.output)
        return PlannedLayer(info, "inputs", after=total, state="parts")
    _check_divisible(info, processes)
    if name != names[0]:
        total = Exchange("sum to channels", info.output)
        return PlannedLayer(info, "inputs and bias", after=total, state="parts")
    gather = Exchange("gather rows", info.input)
    return PlannedLayer(info, "outputs", before=gather, state="parts")


def _check_divisible(info: LayerInfo, processes: int) -> None:
    require(
        info.output[0] >= processes,
        f"{info.layer.name} has {info.output[0]} outputs, fewer than the {processes} processes "
        "that would share them; use fewer --devices, or --parallel data",
    )


def parameters(plan: Plan, rank: int) -> int:
    """Number of parameters of one of the processes, with batch-norm statistics."""
    return sum(layer_parameters(planned, plan.processes, rank) for planned in plan.layers)


def layer_parameters(planned: PlannedLayer, processes: int, rank: int) -> int:
    """Number of one layer's parameters in one of the processes, with batch-norm statistics."""
    info = planned.info
    biases, outputs = info.layer.bias_parameters(), info.output[0]
    own_outputs = len(part(outputs, processes, rank))
    match planned.split:
        case "outputs":
            return info.parameters // outputs * own_outputs
        case "inputs" | "inputs and bias":
            own = len(part(prod(info.input), processes, rank)) * outputs
            own_biases = own_outputs if planned.split == "inputs and bias" else outputs
            return own + (own_biases if biases else 0)
    return info.parameters


def activations(plan: Plan, batch_size: int, rank: int) -> int:
    """Number of activations that a process has: the layers' outputs, and the inputs it gathers.

    Args:
        plan: the network and the processes.
        batch_size: images of all processes together.
        rank: of the process.
    """
    return sum(_activations(planned, plan.processes, batch_size, rank) for planned in plan.layers)


def _activations(planned: PlannedLayer, processes: int, batch_size: int, rank: int) -> int:
    channels, *sides = planned.info.output
    gathered = batch_size * prod(planned.before.shape) if planned.before else 0
    if planned.state == "rows":
        return gathered + len(part(batch_size, processes, rank)) * prod(planned.info.output)
    is_sum = planned.split in ("inputs", "inputs and bias")  # of all outputs, over the processes
    is_part = planned.state == "parts" and not is_sum
    own = len(part(channels, processes, rank)) if is_part else channels
    return gathered + batch_size * own * prod(sides)


def shared_parameters(plan: Plan) -> int:
    """Number of trained parameters that every process has; their gradients are summed each step.

    In columns all processes compute the same gradients of such parameters, and there are none.
    """
    if plan.scheme == "columns":
        return 0
    return sum(map(_shared_parameters, plan.layers))


def _shared_parameters(planned: PlannedLayer) -> int:
    info = planned.info
    match planned.split:
        case "none":
            statistics = isinstance(info.layer, BatchNorm)
            return info.parameters // 2 if statistics else info.parameters
        case "inputs":
            return info.layer.bias_parameters()
    return 0
