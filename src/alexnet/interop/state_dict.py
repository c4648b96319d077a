"""Read state dicts (`.pth`, `.safetensors`) strictly: no tensor may be missing or unexpected."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.weights import read_weights
from alexnet.interop.match import MatchedModel, OtherNetworkError
from alexnet.interop.one_output import as_two_classes
from alexnet.interop.weight_layout import channels_first
from alexnet.io.limits import MAX_INPUT_SIDE
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture, output_shape
from alexnet.models.layers import Conv, FullyConnected, Layer, Shape
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO

SIZES = (
    " for an input of {published} pixels; inputs of {sizes} pixels give that shape: say with "
    "--input-size which it was trained with"
)


def read_state_dict(
    path: Path, arch: Architecture, input_size: int | None = None, *, average: bool = False
) -> MatchedModel:
    """Read a state dict of `arch`; widths, colors and number of classes come from the file.

    Args:
        path: a checkpoint of any trainer, see `read_weights`.
        arch: the architecture that the weights must match.
        input_size: side of the input in pixels; None: as published.
        average: whether to take the averaged (EMA) weights, where the file has both.

    Raises:
        ModelFileError: the file is damaged, or a tensor is missing, unexpected or of another
            shape; the first one is named.
    """
    weights = read_weights(path, arch, average=average)
    weights = replace(weights, tensors=channels_first(weights.tensors, arch))
    _reject_another(path.name, weights.tensors, arch)
    matched = _with_widths(variant(arch, ModelOptions(input_size=input_size)), weights.tensors)
    check_limits(matched)
    notes = (*weights.notes, *_width_notes(path.name, arch, matched))
    tensors = _match_tensors(path.name, weights.tensors, matched)
    model = as_two_classes(path.name, MatchedModel(matched, tensors, notes=notes))
    return _with_class_names(model, weights.class_names)


def _with_class_names(
    model: MatchedModel, found: tuple[tuple[str, tuple[str, ...]], ...]
) -> MatchedModel:
    """The model with the first list of class names in the file that is as long as the outputs."""
    count = model.architecture.num_classes
    names = next((names for _, names in found if len(names) == count), ())
    if names or not found:
        return replace(model, class_names=names)
    key, others = found[0]
    note = (
        f"the file's class names ({key}) are not used: they are {len(others)}, and the network has "
        f"{count} outputs"
    )
    return replace(model, notes=(*model.notes, note))


def _with_widths(arch: Architecture, weights: dict[str, Tensor]) -> Architecture:
    """The architecture with the widths and the color channels of those layers that a file has."""
    layers = tuple(_with_width(layer, weights.get(f"{layer.name}.weight")) for layer in arch.layers)
    channels, conv = arch.input[0], next(x for x in arch.layers if isinstance(x, Conv))
    first = weights.get(f"{conv.name}.weight")
    if first is not None and first.ndim == 4 and first.shape[1] in (1, 3):
        channels = first.shape[1]
    return replace(arch, layers=layers, input=(channels, *arch.input[1:]))


def _with_width(layer: Layer, weight: Tensor | None) -> Layer:
    if weight is None or not len(weight):
        return layer
    if isinstance(layer, Conv) and weight.ndim == 4 and len(weight) % layer.groups == 0:
        return replace(layer, channels=len(weight))
    if isinstance(layer, FullyConnected) and weight.ndim == 2:
        return replace(layer, features=len(weight))
    return layer


def _reject_another(file: str, weights: dict[str, Tensor], arch: Architecture) -> None:
    """Reject weights whose widths are those of another published network, times a factor.

    Names and shapes alone cannot tell torchvision's net from another one-tower net.

    Raises:
        OtherNetworkError: names the other architecture.
    """
    found = [len(t) for name, t in weights.items() if name.endswith("weight") and t.ndim == 4]
    if not found or _is_multiple(found, arch):
        return
    other = next((net for net in ZOO.values() if _is_multiple(found, net)), None)
    if other:
        raise OtherNetworkError(
            f"{file} is not {arch.name}: its convolutions have {_widths_text(found)} channels, "
            f"as those of {other.name}; import it with --arch {other.name}"
        )


def _is_multiple(widths: Sequence[int], arch: Architecture) -> bool:
    """Whether the widths are those of an architecture's convolutions times one factor."""
    published = _conv_widths(arch)
    if len(published) != len(widths):
        return False
    return all(w * published[0] == p * widths[0] for w, p in zip(widths, published, strict=True))


def _conv_widths(arch: Architecture) -> list[int]:
    return [layer.channels for layer in arch.layers if isinstance(layer, Conv)]


def _widths_text(widths: Iterable[int]) -> str:
    return "-".join(map(str, widths))


def _width_notes(file: str, arch: Architecture, matched: Architecture) -> tuple[str, ...]:
    """A note if the widths of the convolutions are not the published ones."""
    published, found = _conv_widths(arch), _conv_widths(matched)
    if found == published:
        return ()
    return (
        f"{file} has {_widths_text(found)} channels in its convolutions, where {arch.name} has "
        f"{_widths_text(published)}",
    )


def _match_tensors(file: str, weights: dict[str, Tensor], arch: Architecture) -> dict[str, Tensor]:
    """The weights in the network's order and types; `num_batches_tracked` may be missing.

    Raises:
        OtherNetworkError: a tensor is missing, unexpected, or of another shape.
    """
    expected = _meta_state_dict(arch)
    if mismatch := _first_mismatch(weights, expected, arch):
        count = sum(n in weights and weights[n].shape == t.shape for n, t in expected.items())
        is_size = "--input-size" in mismatch
        start = f"is {arch.name} for another input" if is_size else f"is not {arch.name}"
        raise OtherNetworkError(f"{file} {start}: {mismatch}", count, is_size=is_size)
    return {name: weights[name].to(t.dtype) for name, t in expected.items() if name in weights}


def _first_mismatch(
    weights: dict[str, Tensor], expected: dict[str, Tensor], arch: Architecture
) -> str:
    """The first tensor that is missing, of another shape, or too many; "" if there is none."""
    for name, tensor in expected.items():
        if name not in weights and not name.endswith(".num_batches_tracked"):
            return f"it lacks {name} ({shape_text(tensor.shape)})"
        if name in weights and weights[name].shape != tensor.shape:
            found, right = shape_text(weights[name].shape), shape_text(tensor.shape)
            text = f"{name} has shape {found}, expected {right}"
            sizes = _fitting_sizes(name, weights[name], arch)
            return text + (SIZES.format(published=arch.input[1], sizes=sizes) if sizes else "")
    others = (name for name in weights if name not in expected)
    return next((f"it also has {name} ({shape_text(weights[name].shape)})" for name in others), "")


def _fitting_sizes(name: str, weight: Tensor, arch: Architecture) -> str:
    """The sides of the input for which the first fully connected layer has this weight.

    Returns:
        "113 to 144"; "" for another tensor, or if no input gives it that shape.
    """
    end = next((i for i, x in enumerate(arch.layers) if isinstance(x, FullyConnected)), 0)
    if name != f"{arch.layers[end].name}.weight" or weight.ndim != 2:
        return ""

    def num_features(side: int) -> int:
        shape: Shape = (arch.input[0], side, side)
        return prod(output_shape(arch.layers[:end], shape))

    sides = range(1, MAX_INPUT_SIDE + 1)
    first = bisect_left(sides, weight.shape[1], key=num_features)
    last = bisect_right(sides, weight.shape[1], key=num_features) - 1
    if first > last or last == len(sides) - 1:  # none, or any
        return ""
    return f"{sides[first]}" if first == last else f"{sides[first]} to {sides[last]}"


def _meta_state_dict(arch: Architecture) -> dict[str, Tensor]:
    """A network's state dict on the meta device, with names, shapes and types alone."""
    with torch.device("meta"):
        return dict(Network(arch).state_dict())
