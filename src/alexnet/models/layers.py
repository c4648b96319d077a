"""The kinds of layers, as plain values that know their arithmetic, without torch.

Every layer knows the shape it gives, its parameters, its multiply-accumulates, and how far it
widens the receptive field.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from math import prod
from typing import ClassVar, Literal, TypeAlias

from alexnet.errors import ArchitectureError

Shape: TypeAlias = tuple[int, ...]
"""(channels, height, width) of a map or (features,) of a vector; the batch is not counted."""


@dataclass(frozen=True, slots=True)
class Init:
    """How a layer's weights and bias begin."""

    kind: Literal["normal", "glorot_uniform", "he_normal", "torch"] = "normal"
    """`torch` is the framework's default, for the bias too."""
    std: float = 0.01
    """Standard deviation of `normal`."""
    bias: float = 0.0
    """Every bias begins with this value (not for `torch`)."""

    def __post_init__(self) -> None:
        """Refuse numbers that no weight can begin with."""
        is_fair = 0 <= self.std < math.inf and -math.inf < self.bias < math.inf
        require(is_fair, f"weights cannot begin with sd {self.std} and bias {self.bias}")


LARGEST = 1 << 24
"""The largest whole number in a table; what a layer makes of them is reckoned without overflow."""


def require(is_met: bool, message: str) -> None:
    """Raise ArchitectureError with `message` unless the condition is met."""
    if not is_met:
        raise ArchitectureError(message)


def output_size(length: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """How many windows fit along one side; 0 when none does.

    With `ceil` a last window may reach past the end, as long as it begins inside the picture or its
    left padding (the rule of torch and Caffe).
    """
    span = length + 2 * padding - kernel
    if span < 0 and not (ceil and length > 0 and -span < stride):
        return 0
    if not ceil:
        return span // stride + 1
    count = -(-span // stride) + 1
    return count - 1 if (count - 1) * stride >= length + padding else count


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of a table; by default it keeps the shape and has no weights."""

    kind: ClassVar[str] = "layer"
    name: str

    def __post_init__(self) -> None:
        """Refuse names that are no Python names, and numbers that no layer can have."""
        require(self.name.isidentifier(), f"a layer cannot be called {self.name!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                least = 1 if isinstance(value, int) and "padding" not in field.name else 0
                most = LARGEST if isinstance(value, int) else sys.float_info.max
                require(
                    least <= value <= most,
                    f"{self.name}: {field.name} {value:.6g} must be from {least} to {most:.6g}",
                )

    def output(self, shape: Shape) -> Shape:
        """The shape given for an input of `shape`; a side of 0 means that it does not fit."""
        return shape

    def parameters(self, shape: Shape) -> int:
        """Stored numbers: weights, biases and batch-norm statistics."""
        return 0

    def bias_parameters(self) -> int:
        """How many of the parameters are biases."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one picture, the bias not counted."""
        return 0

    def window(self, shape: Shape) -> tuple[int, int]:
        """(kernel, stride) as the receptive field sees them."""
        return 1, 1


@dataclass(frozen=True, slots=True)
class Conv(Layer):
    """Convolution over `groups` columns that do not see each other."""

    kind: ClassVar[str] = "conv"
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    extra_padding: int = 0
    """More zeros at the right and bottom only: how the 2012 code made 55 windows of 224 pixels."""
    groups: int = 1
    bias: bool = True
    init: Init = Init()

    def output(self, shape: Shape) -> Shape:
        """`channels` maps, each side counted in windows."""
        c, *sides = shape
        if c % self.groups or self.channels % self.groups:
            raise ArchitectureError(
                f"{self.name}: {c} -> {self.channels} channels "
                f"cannot be split into {self.groups} groups"
            )
        fit = (
            output_size(n + self.extra_padding, self.kernel, self.stride, self.padding, False)
            for n in sides
        )
        return self.channels, *fit

    def _weights(self, shape: Shape) -> int:
        return self.channels * (shape[0] // self.groups) * self.kernel**2

    def parameters(self, shape: Shape) -> int:
        """Kernels and biases."""
        return self._weights(shape) + self.bias_parameters()

    def bias_parameters(self) -> int:
        """One for each map."""
        return self.channels * self.bias

    def macs(self, shape: Shape) -> int:
        """Every weight once for each place of the window."""
        return self._weights(shape) * prod(self.output(shape)[1:])

    def window(self, shape: Shape) -> tuple[int, int]:
        """Its own kernel and stride."""
        return self.kernel, self.stride


@dataclass(frozen=True, slots=True)
class FullyConnected(Layer):
    """A matrix product of the whole vector; a map must be flattened first."""

    kind: ClassVar[str] = "fc"
    features: int
    bias: bool = True
    init: Init = Init()

    def output(self, shape: Shape) -> Shape:
        """`features` numbers."""
        if len(shape) != 1:
            raise ArchitectureError(
                f"{self.name}: a fully connected layer needs a Flatten before it"
            )
        return (self.features,)

    def parameters(self, shape: Shape) -> int:
        """The matrix and the biases."""
        return shape[0] * self.features + self.bias_parameters()

    def bias_parameters(self) -> int:
        """One for each feature."""
        return self.features * self.bias

    def macs(self, shape: Shape) -> int:
        """Every weight once."""
        return shape[0] * self.features


@dataclass(frozen=True, slots=True)
class Activation(Layer):
    """The nonlinearity, elementwise."""

    kind: ClassVar[str] = "activation"
    function: Literal["relu", "tanh", "sigmoid"] = "relu"


@dataclass(frozen=True, slots=True)
class ResponseNorm(Layer):
    """Response normalisation across neighbouring maps (paper, section 3.3).

    b_i = a_i / (k + alpha * sum of a_j^2 over the `size` maps around i) ** beta, inside each of
    `groups` columns. alpha multiplies each squared term, as printed; torch's LocalResponseNorm
    divides it by `size`.
    """

    kind: ClassVar[str] = "response_norm"
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    groups: int = 1

    def output(self, shape: Shape) -> Shape:
        """The shape as it is, if the columns divide the maps."""
        if shape[0] % self.groups:
            raise ArchitectureError(
                f"{self.name}: {shape[0]} maps cannot be split into {self.groups} columns"
            )
        return shape


@dataclass(frozen=True, slots=True)
class WithinChannelLRN(Layer):
    """Response normalisation inside each map, over a `size` x `size` window.

    Source: Code2012, "cnorm2".
    """

    kind: ClassVar[str] = "within_channel_lrn"
    size: int = 5
    alpha: float = 1e-3 / 25
    beta: float = 0.75
    k: float = 1.0

    def window(self, shape: Shape) -> tuple[int, int]:
        """As wide as the norm's window, at every place."""
        return self.size, 1


@dataclass(frozen=True, slots=True)
class BatchNorm(Layer):
    """Batch normalisation per map or per feature.

    Its two statistics count as parameters, as Keras counts them.
    """

    kind: ClassVar[str] = "batch_norm"
    epsilon: float = 1e-5
    momentum: float = 0.1
    """Weight of the newest batch in the moving statistics (torch's sense; 1 minus Keras's)."""

    def parameters(self, shape: Shape) -> int:
        """Scale, shift, mean and variance of each map or feature."""
        return 4 * shape[0]


@dataclass(frozen=True, slots=True)
class Pool(Layer):
    """Pooling; overlapping when `stride` is below `size` (paper, section 3.4)."""

    kind: ClassVar[str] = "pool"
    size: int = 3
    stride: int = 2
    ceil: bool = False
    reduce: Literal["max", "average"] = "max"

    def output(self, shape: Shape) -> Shape:
        """The same maps, each side counted in windows."""
        require(len(shape) == 3, f"{self.name}: pooling needs a map, not a vector")
        c, *sides = shape
        return c, *(output_size(n, self.size, self.stride, 0, self.ceil) for n in sides)

    def window(self, shape: Shape) -> tuple[int, int]:
        """Its own size and stride."""
        return self.size, self.stride


@dataclass(frozen=True, slots=True)
class AdaptivePool(Layer):
    """Pooling to `size` x `size` whatever the map; the identity where it has that size already."""

    kind: ClassVar[str] = "adaptive_pool"
    size: int
    reduce: Literal["max", "average"] = "average"

    def output(self, shape: Shape) -> Shape:
        """`size` x `size` of each map."""
        require(len(shape) == 3, f"{self.name}: pooling needs a map, not a vector")
        return shape[0], self.size, self.size

    def window(self, shape: Shape) -> tuple[int, int]:
        """The window and stride that give `size` places along a side."""
        stride = max(1, shape[1] // self.size)
        return max(1, shape[1] - (self.size - 1) * stride), stride


@dataclass(frozen=True, slots=True)
class Dropout(Layer):
    """Zeroes each value with probability `p` in training; the rest grow by 1 / (1 - rate)."""

    kind: ClassVar[str] = "dropout"
    p: float = 0.5


@dataclass(frozen=True, slots=True)
class Flatten(Layer):
    """A map as a vector, in channel-row-column order or, as Keras stores it, row-column-channel."""

    kind: ClassVar[str] = "flatten"
    order: Literal["chw", "hwc"] = "chw"

    def output(self, shape: Shape) -> Shape:
        """One number for each value of the map."""
        return (prod(shape),)


LAYER_KINDS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Conv,
        FullyConnected,
        Activation,
        ResponseNorm,
        WithinChannelLRN,
        BatchNorm,
        Pool,
        AdaptivePool,
        Dropout,
        Flatten,
    )
}
