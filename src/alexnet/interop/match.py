"""Layers found in another program's file, held against one of our tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from math import isclose, prod
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

from alexnet.errors import ArchitectureError, ModelFileError
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    Shape,
)

IGNORED_FIELDS = {"name", "init", "channels", "features", "bias", "momentum", "ceil", "p"}
"""What a file may have otherwise: widths are taken from it, the rest matters in training only."""
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
L = TypeVar("L", bound=Layer)


@dataclass(frozen=True, eq=False)
class Found:
    """One layer of a file."""

    layer: Layer
    """Its kind and constants; its name is the file's."""
    where: str
    """How a person finds it in the file: "LRN 'n2'"."""
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """By torch's names and in torch's layout: weight, bias, running_mean, running_var."""


@dataclass(frozen=True, eq=False)
class MatchedModel:
    """A table as a file has it, and the file's weights under its names."""

    table: Architecture
    weights: dict[str, Tensor]


def fit(file: str, found: Iterable[Found], table: Architecture, shape: Shape) -> MatchedModel:
    """Hold a file's layers, in order, against a table; widths and the input come from the file.

    Dropout is passed over on both sides. A batch norm that the file has folded into the layer
    before it becomes one that only adds the folded bias.

    Args:
        file: its name, for the message.
        found: its layers.
        table: what they should be.
        shape: (channels, height, width) of the file's input.

    Raises:
        ModelFileError: they are not; the first mismatch is named.
    """
    matcher = _Matcher(file, table, shape, deque(f for f in found if not _is_dropout(f.layer)))
    try:
        for layer in table.layers:
            matcher.take(layer)
        matcher.finish()
        fitted = replace(table, layers=tuple(matcher.layers), input=shape)
    except ArchitectureError as error:
        raise ModelFileError(f"{file} is not {table.name}: {error}") from error
    return MatchedModel(fitted, matcher.weights)


class _Matcher:
    """Where the comparison is: the layers still to come, the shape so far, what was taken."""

    def __init__(self, file: str, table: Architecture, shape: Shape, found: deque[Found]) -> None:
        self.file, self.table, self.shape, self.found = file, table, shape, found
        self.layers: list[Layer] = []
        self.weights: dict[str, Tensor] = {}
        self.folded = np.zeros(0, np.float32)

    def refuse(self, what: str) -> NoReturn:
        raise ModelFileError(f"{self.file} is not {self.table.name}: {what}")

    def is_next(self, kind: type[Layer]) -> bool:
        return bool(self.found) and isinstance(self.found[0].layer, kind)

    def take(self, layer: Layer) -> None:
        """Match one row of the table."""
        if isinstance(layer, Dropout):
            self.keep(layer)
        elif isinstance(layer, AdaptivePool) and not self.is_next(AdaptivePool):
            if layer.output(self.shape) != self.shape:
                self.refuse(
                    f"{layer.name} does work on a map of {shape_text(self.shape)}, "
                    "and the file has no such layer"
                )
            self.keep(layer)
        elif (
            isinstance(layer, BatchNorm) and not self.is_next(BatchNorm) and self.follows_weights()
        ):
            self.take_folded(layer)
        else:
            self.take_next(layer)

    def follows_weights(self) -> bool:
        return bool(self.layers) and isinstance(self.layers[-1], Conv | FullyConnected)

    def keep(self, layer: Layer) -> None:
        """Take a row over into the table, and go on with its output."""
        self.layers.append(layer)
        self.shape = layer.output(self.shape)
        if min(self.shape) < 1:
            self.refuse(f"nothing is left of the picture after {layer.name}")

    def take_folded(self, layer: BatchNorm) -> None:
        """A batch norm that is the identity but for the bias that was folded."""
        maps = self.shape[0]
        bias = self.folded if len(self.folded) else np.zeros(maps, np.float32)
        ones = np.ones(maps, np.float32)
        arrays = (ones, bias, 0 * ones, ones - np.float32(layer.eps))
        self.store(layer, dict(zip(BATCH_NORM, arrays, strict=True)))
        self.folded = np.zeros(0, np.float32)
        self.keep(layer)

    def take_next(self, layer: Layer) -> None:
        """Match one row with the file's next layer."""
        if not self.found:
            self.refuse(f"the file ends where {layer.name} should be")
        found = self.found.popleft()
        if type(found.layer) is not type(layer):
            self.refuse(f"where {layer.name} should be ({layer.kind}) the file has {found.where}")
        self.check_constants(layer, found)
        layer = _with_widths(layer, found.layer, self.shape)
        if isinstance(layer, Conv | FullyConnected | BatchNorm):
            self.store(layer, self.with_bias(layer, found))
        self.keep(layer)

    def check_constants(self, layer: Layer, found: Found) -> None:
        for constant in fields(layer):
            here, there = getattr(layer, constant.name), getattr(found.layer, constant.name)
            is_moot = isinstance(layer, Flatten) and prod(self.shape[1:]) == 1
            if constant.name not in IGNORED_FIELDS and not _same(here, there) and not is_moot:
                self.refuse(
                    f"{layer.name} has {constant.name} {_said(here)}, "
                    f"and {found.where} has {_said(there)}"
                )

    def with_bias(self, layer: Layer, found: Found) -> dict[str, np.ndarray]:
        """The file's arrays, with the bias where the table has it."""
        arrays = dict(found.weights)
        if isinstance(layer, BatchNorm):
            return arrays
        assert isinstance(layer, Conv | FullyConnected)
        if layer.bias:  # exporters leave a bias of zeros out
            arrays.setdefault("bias", np.zeros(arrays["weight"].shape[0], np.float32))
            return arrays
        self.folded = arrays.pop("bias", self.folded[:0])
        place = [row.name for row in self.table.layers].index(layer.name) + 1
        is_foldable = isinstance(self.table.layers[place], BatchNorm) and not self.is_next(
            BatchNorm
        )
        if np.any(self.folded) and not is_foldable:
            self.refuse(f"{layer.name} has no bias, and {found.where} has one")
        return arrays

    def store(self, layer: Layer, arrays: dict[str, np.ndarray]) -> None:
        """Keep the arrays of a row under our names, if their shapes are right."""
        for name, shape in _shapes(layer, self.shape).items():
            if name not in arrays:
                self.refuse(f"the file has no {name} for {layer.name}")
            if arrays[name].shape != shape:
                there = shape_text(arrays[name].shape)
                self.refuse(
                    f"{layer.name}.{name} is {shape_text(shape)} here and {there} in the file"
                )
            plain = np.array(arrays[name], dtype=np.float32, order="C")
            self.weights[f"{layer.name}.{name}"] = torch.from_numpy(plain)
        if isinstance(layer, BatchNorm):
            self.weights[f"{layer.name}.num_batches_tracked"] = torch.tensor(0)

    def finish(self) -> None:
        if self.found:
            last = self.layers[-1].name
            self.refuse(f"after {last} the file goes on with {self.found[0].where}")


def _is_dropout(layer: Layer) -> bool:
    return isinstance(layer, Dropout)


def _same(here: Any, there: Any) -> bool:
    """Equal; numbers to float32's precision, in which other programs keep constants."""
    if isinstance(here, float):
        return isclose(here, there, rel_tol=1e-6)
    return bool(here == there)


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_widths(layer: L, found: Layer, shape: Shape) -> L:
    """The row with the file's widths, and the file's rounding of a pool where it matters."""
    if isinstance(layer, Conv) and isinstance(found, Conv):
        return replace(layer, channels=found.channels)
    if isinstance(layer, FullyConnected) and isinstance(found, FullyConnected):
        return replace(layer, features=found.features)
    is_other_pool = isinstance(layer, Pool) and layer.output(shape) != found.output(shape)
    if is_other_pool and isinstance(layer, Pool) and isinstance(found, Pool):
        return replace(layer, ceil=found.ceil)
    return layer


def _shapes(layer: Layer, shape: Shape) -> dict[str, Shape]:
    """Shapes of a row's arrays for an input of `shape`."""
    if isinstance(layer, Conv):
        weight: Shape = (layer.channels, shape[0] // layer.groups, layer.kernel, layer.kernel)
        return {"weight": weight} | ({"bias": (layer.channels,)} if layer.bias else {})
    if isinstance(layer, FullyConnected):
        weight = (layer.features, shape[0])
        return {"weight": weight} | ({"bias": (layer.features,)} if layer.bias else {})
    return dict.fromkeys(BATCH_NORM, (shape[0],))
