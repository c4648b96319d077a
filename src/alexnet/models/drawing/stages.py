"""The layers of an architecture that are drawn, and what is written below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    Shape,
    WithinChannelLRN,
)

StageKind: TypeAlias = Literal["input", "conv", "pool", "fc"]


@dataclass(frozen=True, slots=True)
class Note:
    """A layer that changes no shape, as text below the stage before it."""

    layer: str
    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A block or a column of the drawing: the input, or the output of a layer."""

    name: str
    kind: StageKind
    shape: Shape
    kernel: int = 0
    """Side of the stage's window, in pixels of the stage before; 0 if it has none."""
    depth: int = 0
    """Channels that one window reads."""
    groups: int = 1
    operation: tuple[str, ...] = ()
    """What the layer does, as lines of a few words."""
    notes: tuple[Note, ...] = ()
    towers: int = 1
    """Number of blocks, one above the other, among which the channels are divided: 1 or 2."""

    @property
    def size(self) -> str:
        """Height, width and channels, or the number of features."""
        if len(self.shape) == 1:
            return str(self.shape[0])
        channels, height, width = self.shape
        return f"{height} × {width} × {channels}"


def stages_of(net: Architecture) -> list[Stage]:
    """The input and every layer with windows or weights; the others are notes of these."""
    stages = [Stage("input", "input", net.input)]
    for info in net.layer_infos():
        if stage := _stage(info):
            stages.append(stage)
        else:
            note = Note(info.layer.name, _note_text(info.layer))
            stages[-1] = replace(stages[-1], notes=(*stages[-1].notes, note))
    return [replace(stage, towers=_towers(stages, i)) for i, stage in enumerate(stages)]


def _stage(info: LayerInfo) -> Stage | None:
    """The stage of a layer with windows or weights."""
    layer, shape = info.layer, info.output
    match layer:
        case Conv():
            depth = info.input[0] // layer.groups
            kernels = f"{layer.kernel} × {layer.kernel} × {depth} kernels"
            operation = (kernels, *_settings(layer))
            name, kernel, groups = layer.name, layer.kernel, layer.groups
            return Stage(name, "conv", shape, kernel, depth, groups, operation)
        case Pool() | AdaptivePool():
            kernel, stride = layer.receptive_window(info.input)
            operation = (f"{kernel} × {kernel} {layer.reduce} pool", f"stride {stride}")
            return Stage(layer.name, "pool", shape, kernel, 1, 1, operation)
        case FullyConnected():
            return Stage(layer.name, "fc", shape, operation=("fully connected",))
    return None


def _settings(conv: Conv) -> list[str]:
    """Stride, padding and groups as lines of text; default values are left out."""
    padding = f"{conv.padding}+{conv.extra_padding}" if conv.extra_padding else str(conv.padding)
    settings = [
        f"stride {conv.stride}" if conv.stride > 1 else "",
        f"padding {padding}" if padding != "0" else "",
    ]
    lines = [", ".join(filter(None, settings)), f"{conv.groups} groups" if conv.groups > 1 else ""]
    return [line for line in lines if line]


def _note_text(layer: Layer) -> str:
    match layer:
        case Activation(function=function):
            return "ReLU" if function == "relu" else function
        case ResponseNorm():
            return "response norm"
        case WithinChannelLRN():
            return "within-channel norm"
        case BatchNorm():
            return "batch norm"
        case Dropout(p=p):
            return f"dropout {p:g}"
    return layer.kind.replace("_", " ")


def _towers(stages: Sequence[Stage], index: int) -> int:
    """2 if the last convolution up to this stage, or the next one, has 2 groups; else 1."""
    stage = stages[index]
    if stage.kind not in ("conv", "pool"):
        return 1
    before = [one.groups for one in stages[: index + 1] if one.kind == "conv"]
    after = [one.groups for one in stages[index + 1 :] if one.kind == "conv"]
    return 2 if 2 in (*before[-1:], *after[:1]) else 1
