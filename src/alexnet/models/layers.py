"""The layer types as plain values that compute their own shapes and counts, without torch.

Every layer knows its output shape, its number of parameters and of multiply-accumulates, and how
much it widens the receptive field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, TypeAlias, get_args

from alexnet.errors import ArchitectureError, require
from alexnet.models.field_checks import (
    check_choice,
    check_floats,
    check_integers,
    is_number,
    make_numbers_plain,
)

Shape: TypeAlias = tuple[int, ...]
"""(channels, height, width) of a feature map or (features,) of a vector, without the batch: a plain
tuple such as (3, 224, 224)."""
InitKind: TypeAlias = Literal["normal", "glorot_uniform", "he_normal", "torch"]
Function: TypeAlias = Literal["relu", "tanh", "sigmoid"]
Reduction: TypeAlias = Literal["max", "average"]
FlattenOrder: TypeAlias = Literal["chw", "hwc"]


@dataclass(frozen=True, slots=True)
class Init:
    """How the weights and biases of a layer are initialized."""

    kind: InitKind = "normal"
    """Distribution of the initial weights; `torch` is torch's default, for the bias as well."""
    std: float = 0.01
    """Standard deviation of `normal`."""
    bias: float = 0.0
    """Constant value of the biases; not used by `torch`."""

    def __post_init__(self) -> None:
        make_numbers_plain(self)
        check_choice("init", get_args(InitKind), kind=self.kind)
        require(
            is_number(self.std)
            and is_number(self.bias)
            and 0 <= self.std < math.inf
            and math.isfinite(self.bias),
            f"weights cannot be initialized with std {self.std} and bias {self.bias}",
            ArchitectureError,
        )


def output_size(length: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """Number of windows along one side; 0 if none fits.

    With `ceil` the last window may reach past the end, as long as it starts inside the image or its
    left padding (as torch's and Caffe's `ceil_mode`).
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
    """One layer; by default it keeps the shape and has no weights.

    Raises:
        ArchitectureError: the name is no Python identifier, or a number is out of range.
    """

    kind: ClassVar[str] = "layer"
    name: str

    def __post_init__(self) -> None:
        make_numbers_plain(self)
        is_text = isinstance(self.name, str)
        advice = "" if is_text else f"; {type(self).__name__} begins with a name such as 'conv1'"
        message = f"a layer cannot be called {self.name!r}{advice}"
        require(is_text and self.name.isidentifier(), message, ArchitectureError)
        self._check()

    def _check(self) -> None:
        """Check the fields of a layer type."""

    def output(self, shape: Shape) -> Shape:
        """The output shape for an input of `shape`; a side of 0 means that the input is too small.

        Raises:
            ArchitectureError: the input has the wrong number of dimensions or channels.
        """
        return shape

    def parameters(self, shape: Shape) -> int:
        """Number of weights, biases and batch-norm statistics."""
        return 0

    def bias_parameters(self) -> int:
        """How many of the parameters are biases."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image, without the bias."""
        return 0

    def receptive_window(self, shape: Shape) -> tuple[int, int]:
        """(kernel, stride) with which the layer enlarges the receptive field."""
        return 1, 1


@dataclass(frozen=True, slots=True)
class Conv(Layer):
    """2D convolution."""

    kind: ClassVar[str] = "conv"
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    extra_padding: int = 0
    """Additional zero padding at the right and bottom only, with which the 2012 code gets 55
    windows from 224 pixels."""
    groups: int = 1
    bias: bool = True
    init: Init = Init()

    def _check(self) -> None:
        check_integers(
            self.name,
            channels=self.channels,
            kernel=self.kernel,
            stride=self.stride,
            groups=self.groups,
        )
        check_integers(self.name, minimum=0, padding=self.padding, extra_padding=self.extra_padding)
        _check_start(self)

    def output(self, shape: Shape) -> Shape:
        """The output shape (channels, height, width)."""
        c, *sides = _feature_map(self.name, "a convolution", shape)
        require(
            c % self.groups == 0 and self.channels % self.groups == 0,
            f"{self.name}: {c} -> {self.channels} channels "
            f"cannot be split into {self.groups} groups",
            ArchitectureError,
        )
        sizes = (
            output_size(n + self.extra_padding, self.kernel, self.stride, self.padding, False)
            for n in sides
        )
        return self.channels, *sizes

    def _weights(self, shape: Shape) -> int:
        return self.channels * (shape[0] // self.groups) * self.kernel**2

    def parameters(self, shape: Shape) -> int:
        """Number of weights and biases."""
        return self._weights(shape) + self.bias_parameters()

    def bias_parameters(self) -> int:
        """Number of biases: one per output channel."""
        return self.channels * self.bias

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates: each weight once per output position."""
        return self._weights(shape) * prod(self.output(shape)[1:])

    def receptive_window(self, shape: Shape) -> tuple[int, int]:
        """(kernel, stride) of the convolution."""
        return self.kernel, self.stride


@dataclass(frozen=True, slots=True)
class FullyConnected(Layer):
    """Fully connected layer; a feature map must be flattened first."""

    kind: ClassVar[str] = "fc"
    features: int
    bias: bool = True
    init: Init = Init()

    def _check(self) -> None:
        check_integers(self.name, features=self.features)
        _check_start(self)

    def output(self, shape: Shape) -> Shape:
        """The output shape (features,)."""
        require(
            len(shape) == 1,
            f"{self.name}: a fully connected layer needs a Flatten before it",
            ArchitectureError,
        )
        return (self.features,)

    def parameters(self, shape: Shape) -> int:
        """Number of weights and biases."""
        return shape[0] * self.features + self.bias_parameters()

    def bias_parameters(self) -> int:
        """Number of biases: one per feature."""
        return self.features * self.bias

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates: each weight once."""
        return shape[0] * self.features


def _check_start(layer: Conv | FullyConnected) -> None:
    """Check the bias and the initialization of a layer with weights."""
    check_choice(layer.name, (True, False), bias=layer.bias)
    message = f"{layer.name}: init {layer.init!r} must be an Init, such as Init('he_normal')"
    require(isinstance(layer.init, Init), message, ArchitectureError)


@dataclass(frozen=True, slots=True)
class Activation(Layer):
    """Elementwise activation function."""

    kind: ClassVar[str] = "activation"
    function: Function = "relu"
    """Function applied to every element. Only an `Architecture` rejects unknown names, since files
    of other programs may have them."""


@dataclass(frozen=True, slots=True)
class ResponseNorm(Layer):
    """Local response normalization across channels (paper, section 3.3).

    b_i = a_i / (k + alpha * sum of a_j^2 over the `size` channels around i) ** beta, within each of
    `groups` groups of channels. alpha multiplies each square, as printed in the paper; torch's
    LocalResponseNorm divides it by `size`.
    """

    kind: ClassVar[str] = "response_norm"
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    groups: int = 1

    def _check(self) -> None:
        check_integers(self.name, size=self.size, groups=self.groups)
        check_floats(self.name, alpha=self.alpha, beta=self.beta, k=self.k)

    def output(self, shape: Shape) -> Shape:
        """The output shape, which is the input's."""
        require(
            shape[0] % self.groups == 0,
            f"{self.name}: {shape[0]} channels cannot be split into {self.groups} groups",
            ArchitectureError,
        )
        return shape


@dataclass(frozen=True, slots=True)
class WithinChannelLRN(Layer):
    """Local response normalization within each channel, over a `size` x `size` window.

    Source: Code2012, "cnorm2"; Caffe's WITHIN_CHANNEL.
    """

    kind: ClassVar[str] = "within_channel_lrn"
    size: int = 5
    alpha: float = 1e-3 / 25
    beta: float = 0.75
    k: float = 1.0

    def _check(self) -> None:
        check_integers(self.name, size=self.size)
        check_floats(self.name, alpha=self.alpha, beta=self.beta, k=self.k)

    def receptive_window(self, shape: Shape) -> tuple[int, int]:
        """(size, 1): the window has stride 1."""
        return self.size, 1


@dataclass(frozen=True, slots=True)
class BatchNorm(Layer):
    """Batch normalization per channel or feature.

    Its running mean and variance count as parameters, as in Keras.
    """

    kind: ClassVar[str] = "batch_norm"
    eps: float = 1e-5
    momentum: float = 0.1
    """Weight of the newest batch in the running statistics, as in torch (1 - Keras's momentum)."""

    def _check(self) -> None:
        check_floats(self.name, eps=self.eps, momentum=self.momentum)

    def parameters(self, shape: Shape) -> int:
        """Number of weights, biases, running means and running variances: four per channel."""
        return 4 * shape[0]


@dataclass(frozen=True, slots=True)
class Pool(Layer):
    """2D pooling; it overlaps if `stride` is below `size` (paper, section 3.4)."""

    kind: ClassVar[str] = "pool"
    size: int = 3
    stride: int = 2
    ceil: bool = False
    reduce: Reduction = "max"

    def _check(self) -> None:
        check_integers(self.name, size=self.size, stride=self.stride)
        check_choice(self.name, get_args(Reduction), reduce=self.reduce)

    def output(self, shape: Shape) -> Shape:
        """The output shape (channels, height, width)."""
        c, *sides = _feature_map(self.name, "pooling", shape)
        return c, *(output_size(n, self.size, self.stride, 0, self.ceil) for n in sides)

    def receptive_window(self, shape: Shape) -> tuple[int, int]:
        """(size, stride) of the pooling."""
        return self.size, self.stride


@dataclass(frozen=True, slots=True)
class AdaptivePool(Layer):
    """Pooling to an output of `size` x `size`; the identity for an input of that size."""

    kind: ClassVar[str] = "adaptive_pool"
    size: int
    reduce: Reduction = "average"

    def _check(self) -> None:
        check_integers(self.name, size=self.size)
        check_choice(self.name, get_args(Reduction), reduce=self.reduce)

    def output(self, shape: Shape) -> Shape:
        """The output shape (channels, size, size)."""
        return _feature_map(self.name, "pooling", shape)[0], self.size, self.size

    def receptive_window(self, shape: Shape) -> tuple[int, int]:
        """(kernel, stride) of the windows that give `size` outputs along a side."""
        stride = max(1, shape[1] // self.size)
        return max(1, shape[1] - (self.size - 1) * stride), stride


def _feature_map(name: str, operation: str, shape: Shape) -> Shape:
    """The shape, if it is that of a feature map; else raise ArchitectureError."""
    is_map = len(shape) == 3
    require(is_map, f"{name}: {operation} needs a feature map, not a vector", ArchitectureError)
    return shape


@dataclass(frozen=True, slots=True)
class Dropout(Layer):
    """Zeroes each value with probability `p` in training and scales the rest by 1 / (1 - p)."""

    kind: ClassVar[str] = "dropout"
    p: float = 0.5

    def _check(self) -> None:
        check_floats(self.name, maximum=1.0, p=self.p)


@dataclass(frozen=True, slots=True)
class Flatten(Layer):
    """A feature map as a vector, in torch's order ("chw") or Keras's ("hwc")."""

    kind: ClassVar[str] = "flatten"
    order: FlattenOrder = "chw"

    def _check(self) -> None:
        check_choice(self.name, get_args(FlattenOrder), order=self.order)

    def output(self, shape: Shape) -> Shape:
        """The output shape (channels * height * width,)."""
        return (prod(shape),)


LAYER_TYPES: dict[str, type[Layer]] = {
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
"""The layer types by the name that files give them."""
