"""The torch module of one row of a table."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.architecture import LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.ops.fft_conv import fft_conv2d, should_use_fft
from alexnet.ops.norms import response_norm, within_channel_lrn


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


class WithinChannelLRNModule(nn.Module):
    """`within_channel_lrn` with a row's constants."""

    def __init__(self, layer: WithinChannelLRN) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to the same shape."""
        return within_channel_lrn(
            x, self.layer.size, self.layer.alpha, self.layer.beta, self.layer.k
        )


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
            bias=layer.bias,
        )
        self.pads = layer.padding, layer.padding
        self.extra_padding = layer.extra_padding

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to maps."""
        if self.extra_padding:
            x = F.pad(x, (0, self.extra_padding, 0, self.extra_padding))
        if should_use_fft(self, x):
            return fft_conv2d(x, self.weight, self.bias, self.pads)
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


def module(row: LayerInfo) -> nn.Module:
    """The torch module of one row of a table."""
    layer = row.layer
    match layer:
        case Conv():
            return ConvModule(layer, row.input[0])
        case FullyConnected():
            return nn.Linear(row.input[0], layer.features, bias=layer.bias)
        case Activation():
            return ACTIVATIONS[layer.function]()
        case ResponseNorm():
            return ResponseNormModule(layer)
        case WithinChannelLRN():
            return WithinChannelLRNModule(layer)
        case BatchNorm():
            norm = nn.BatchNorm2d if len(row.input) == 3 else nn.BatchNorm1d
            return norm(row.input[0], eps=layer.epsilon, momentum=layer.momentum)
        case Dropout():
            return nn.Dropout(layer.p)
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


def init_weights(weight: nn.Conv2d | nn.Linear, init: Init) -> None:
    """Draw a layer's first weights and bias as its row says, from torch's global generator."""
    match init.kind:
        case "torch":
            weight.reset_parameters()
            return
        case "normal":
            nn.init.normal_(weight.weight, 0.0, init.std)
        case "glorot_uniform":
            nn.init.xavier_uniform_(weight.weight)
        case "he_normal":
            nn.init.kaiming_normal_(weight.weight, nonlinearity="relu")
    if weight.bias is not None:
        nn.init.constant_(weight.bias, init.bias)
