"""The layers that torch lacks or scales otherwise, and the torch module of one row of a table."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.architectures import Row
from alexnet.layer_kinds import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Init,
    Layer,
    MapNorm,
    Pool,
    ResponseNorm,
)


def response_norm(
    x: Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    groups: int = 1,
) -> Tensor:
    """b_i = a_i / (k + alpha * sum of a_j^2 over the maps j around i) ** beta, inside each group.

    The sum over neighbouring maps is one banded 1 x 1 convolution. Computed in float32 (float64
    stays), whatever autocast says, and given back in the type of `x`.

    Args:
        x: maps [N, C, H, W].
        size: maps in a window, map i in its middle; an even size reaches one map further back.
        alpha: factor on each squared term.
        beta: power.
        k: offset.
        groups: columns of C / groups maps that do not see each other.

    Raises:
        ValueError: C is not a multiple of `groups`.

    Source: Paper, section 3.3; alpha as printed. torch's LocalResponseNorm takes alpha * size.
    """
    if x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} maps cannot be split into {groups} groups")
    with _full_precision(x.device.type):
        wide = x if x.dtype == torch.float64 else x.float()
        energy = F.conv2d(wide.square(), _band(wide, size, groups), groups=groups)
        return (wide * _negative_power(energy.mul(alpha).add(k), beta)).to(x.dtype)


def _full_precision(device_type: str) -> AbstractContextManager[object]:
    """Switches autocast off where the device has it (the meta device has not)."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def _band(x: Tensor, size: int, groups: int) -> Tensor:
    """Ones where map j is in the window of map i: [C, C / groups, 1, 1]."""
    maps = x.shape[1] // groups
    index = torch.arange(maps, device=x.device)
    offset = index[None, :] - index[:, None]
    band = (offset >= -(size // 2)) & (offset <= (size - 1) // 2)
    return band.to(x.dtype).repeat(groups, 1)[:, :, None, None]


def _negative_power(x: Tensor, beta: float) -> Tensor:
    if beta == 0.75:  # two square roots are several times cheaper than a power
        root = x.rsqrt()
        return root * root.sqrt()
    return x.pow(-beta)


def map_norm(
    x: Tensor, size: int = 5, alpha: float = 1e-3 / 25, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each value a of a map becomes a / (k + alpha * sum of a^2 over its window) ** beta.

    The window is size x size in the same map; outside the map is zero.

    Args:
        x: maps [N, C, H, W].
        size: side of the window, odd.
        alpha: factor on each squared term.
        beta: power.
        k: offset.

    Source: Code2012, "cnorm2" of net 145: size 5, scale 1e-3 divided by 25, power .75, k = 1.
    """
    with _full_precision(x.device.type):
        wide = x if x.dtype == torch.float64 else x.float()
        mean = F.avg_pool2d(
            wide.square(), size, stride=1, padding=size // 2, count_include_pad=True
        )
        return (wide * _negative_power(mean.mul(alpha * size**2).add(k), beta)).to(x.dtype)


class ResponseNormModule(nn.Module):
    """`response_norm` with a row's constants."""

    def __init__(self, layer: ResponseNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to the same shape."""
        row = self.layer
        return response_norm(x, row.size, row.alpha, row.beta, row.k, row.groups)

    def extra_repr(self) -> str:
        """The row, for print(network)."""
        return str(self.layer)


class MapNormModule(nn.Module):
    """`map_norm` with a row's constants."""

    def __init__(self, layer: MapNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to the same shape."""
        return map_norm(x, self.layer.size, self.layer.alpha, self.layer.beta, self.layer.k)


class ConvModule(nn.Conv2d):
    """A row's convolution, with its extra zeros at the right and bottom where it has any."""

    def __init__(self, layer: Conv, in_channels: int) -> None:
        super().__init__(
            in_channels,
            layer.channels,
            layer.kernel,
            layer.stride,
            layer.padding,
            groups=layer.groups,
            bias=layer.has_bias,
        )
        self.end_padding = layer.end_padding

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to maps."""
        if self.end_padding:
            x = F.pad(x, (0, self.end_padding, 0, self.end_padding))
        return super().forward(x)


class FlattenModule(nn.Module):
    """A map [N, C, H, W] as a vector [N, C * H * W] in the row's order."""

    def __init__(self, layer: Flatten) -> None:
        super().__init__()
        self.order = layer.order

    def forward(self, x: Tensor) -> Tensor:
        """Flatten; "hwc" is the order in which Keras stores maps."""
        return (x.permute(0, 2, 3, 1) if self.order == "hwc" else x).flatten(1)


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def module(row: Row) -> nn.Module:
    """The torch module of one row of a table."""
    layer = row.layer
    match layer:
        case Conv():
            return ConvModule(layer, row.input[0])
        case FullyConnected():
            return nn.Linear(row.input[0], layer.features, bias=layer.has_bias)
        case Activation():
            return ACTIVATIONS[layer.function]()
        case ResponseNorm():
            return ResponseNormModule(layer)
        case MapNorm():
            return MapNormModule(layer)
        case BatchNorm():
            norm = nn.BatchNorm2d if len(row.input) == 3 else nn.BatchNorm1d
            return norm(row.input[0], eps=layer.epsilon, momentum=layer.momentum)
        case Dropout():
            return nn.Dropout(layer.rate)
        case Flatten():
            return FlattenModule(layer)
    return _pool(layer)


def _pool(layer: Layer) -> nn.Module:
    match layer:
        case Pool(reduce="max"):
            return nn.MaxPool2d(layer.size, layer.stride, ceil_mode=layer.ceil)
        case Pool():
            return nn.AvgPool2d(layer.size, layer.stride, ceil_mode=layer.ceil)
        case AdaptivePool(reduce="max"):
            return nn.AdaptiveMaxPool2d(layer.size)
        case AdaptivePool():
            return nn.AdaptiveAvgPool2d(layer.size)
    raise TypeError(f"no torch module for {layer}")


def initialise(weight: nn.Conv2d | nn.Linear, init: Init) -> None:
    """Draw a layer's first weights and bias as its row says, from torch's global generator."""
    match init.kind:
        case "torch":
            weight.reset_parameters()
            return
        case "normal":
            nn.init.normal_(weight.weight, 0.0, init.sd)
        case "glorot_uniform":
            nn.init.xavier_uniform_(weight.weight)
        case "he_normal":
            nn.init.kaiming_normal_(weight.weight, nonlinearity="relu")
    if weight.bias is not None:
        nn.init.constant_(weight.bias, init.bias)
