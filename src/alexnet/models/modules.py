"""The torch module of every layer type."""

from __future__ import annotations

from dataclasses import fields

import torch.nn.functional as F
from torch import Tensor, fx, nn

from alexnet.models import layers
from alexnet.models.architecture import LayerInfo
from alexnet.ops.bf16_gradients import bf16_linear, can_have_bf16_gradient
from alexnet.ops.dropout import dropout
from alexnet.ops.fft_conv import fft_conv2d, should_use_fft
from alexnet.ops.gpu_conv import gpu_conv2d, should_rewrite
from alexnet.ops.norms import response_norm, within_channel_lrn
from alexnet.ops.pixel_blocks import block_conv2d, should_use_blocks
from alexnet.ops.tile_conv import should_use_tiles, tile_conv2d
from alexnet.ops.tracing import is_bf16_step, no_autocast

# Functions that torch.fx keeps as one node, and does not look into.
fx.wrap("dropout")
fx.wrap("response_norm")
fx.wrap("within_channel_lrn")


class ResponseNorm(nn.Module):
    """Local response normalization across channels, for feature maps [N, C, H, W].

    There may be more axes after C, as for `nn.LocalResponseNorm`. This takes [N, C, L], too, and
    [C, H, W] as if it were that; here both raise a ValueError.

    Source: Paper, section 3.3; alpha as printed. torch's LocalResponseNorm takes alpha * size.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        groups: int = 1,
    ) -> None:
        """The constants of `alexnet.ops.response_norm`; the paper's by default."""
        super().__init__()
        self.layer = layers.ResponseNorm("response_norm", size, alpha, beta, k, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x [N, C, H, W]; the output has the same shape."""
        layer = self.layer
        return response_norm(x, layer.size, layer.alpha, layer.beta, layer.k, layer.groups)

    def extra_repr(self) -> str:
        """The constants, for print(network)."""
        return _constants(self.layer)


class WithinChannelLRN(nn.Module):
    """Local response normalization within each channel, for feature maps [N, C, H, W]."""

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        """The constants of `alexnet.ops.within_channel_lrn`."""
        super().__init__()
        self.layer = layers.WithinChannelLRN("within_channel_lrn", size, alpha, beta, k)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x [N, C, H, W]; the output has the same shape."""
        layer = self.layer
        return within_channel_lrn(x, layer.size, layer.alpha, layer.beta, layer.k)

    def extra_repr(self) -> str:
        """The constants, for print(network)."""
        return _constants(self.layer)


def _constants(layer: layers.Layer) -> str:
    """The fields of a layer except its name, as text."""
    return ", ".join(f"{f.name}={getattr(layer, f.name)}" for f in fields(layer)[1:])


class Conv2d(nn.Conv2d):
    """torch's convolution with `extra_padding`, computed by a faster equivalent if there is one."""

    is_last = False
    """Whether no later layer has weights, as in `Linear`."""

    def __init__(self, layer: layers.Conv, in_channels: int) -> None:
        super().__init__(
            in_channels,
            layer.channels,
            layer.kernel,
            layer.stride,
            layer.padding,
            groups=layer.groups,
            bias=layer.bias,
        )
        self.pads = layer.padding, layer.padding  # torch's own `padding` may be a string
        self.steps = layer.stride, layer.stride
        self.extra_padding = layer.extra_padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x [N, C, H, W]; the output is [N, channels, H', W']."""
        if self.extra_padding:
            x = F.pad(x, (0, self.extra_padding, 0, self.extra_padding))
        if isinstance(x, fx.Proxy):
            return super().forward(x)
        if self.is_last:
            with no_autocast(x.device.type):
                return super().forward(x.to(self.weight.dtype))
        if self._is_edited():
            return super().forward(x)
        if should_use_fft(self, x):
            return fft_conv2d(x, self.weight, self.bias, self.pads)
        if should_use_blocks(self, x):
            return block_conv2d(x, self.weight, self.bias, self.steps, self.pads)
        if should_use_tiles(self, x):
            return tile_conv2d(x, self.weight, self.bias, self.pads, self.groups)
        if should_rewrite(self, x):
            return gpu_conv2d(x, self.weight, self.bias, self.steps, self.pads, self.groups)
        return super().forward(x)

    def _is_edited(self) -> bool:
        """Whether settings or methods were changed that only torch's own convolution follows."""
        is_as_built = self.stride == self.steps and self.padding == self.pads
        is_plain = self.padding_mode == "zeros" and "_conv_forward" not in vars(self)
        return not (is_as_built and is_plain)


class Linear(nn.Linear):
    """torch's fully connected layer; the network's last one computes in the type of its weights."""

    is_last = False
    """Whether no later layer has weights. Under autocast logits would be rounded to bf16, in which
    the highest two are equal for up to 1 % of all images."""
    allows_bf16_gradient = False
    """Whether the optimizer takes a bf16 gradient (`allow_bf16_gradients`)."""

    def forward(self, x: Tensor) -> Tensor:
        """The output [N, out_features] for x [N, in_features]."""
        if isinstance(x, fx.Proxy):
            return super().forward(x)
        if self.is_last:
            with no_autocast(x.device.type):
                return super().forward(x.to(self.weight.dtype))
        if self.allows_bf16_gradient and x.ndim == 2 and is_bf16_step(self.weight, x):
            return bf16_linear(x, self.weight, self.bias)
        return super().forward(x)


def allow_bf16_gradients(network: nn.Module, *, allowed: bool) -> None:
    """Allow bf16 gradients for the weights whose optimizer step supports them, or for none."""
    for layer in network.modules():
        if isinstance(layer, Linear) and not layer.is_last:
            layer.allows_bf16_gradient = allowed and can_have_bf16_gradient(layer.weight)
            if layer.allows_bf16_gradient:
                layer.weight.grad_dtype = None  # any


class Dropout(nn.Dropout):
    """torch's dropout, with the masks of `alexnet.ops.dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to x of any shape; in evaluation mode x is returned unchanged."""
        return dropout(x, self.p) if self.training else x


class Flatten(nn.Module):
    """Flattens [N, C, H, W] to [N, C * H * W]; order "hwc" flattens as Keras does."""

    def __init__(self, layer: layers.Flatten) -> None:
        super().__init__()
        self.order = layer.order

    def forward(self, x: Tensor) -> Tensor:
        """Flatten x [N, C, H, W] to [N, C * H * W]."""
        return (x.permute(0, 2, 3, 1) if self.order == "hwc" else x).flatten(1)


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
KINDS: tuple[type[nn.Module], ...] = (
    *(*ACTIVATIONS.values(), nn.MaxPool2d, nn.AvgPool2d),
    *(nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d),
    *(nn.Conv2d, nn.Linear, nn.Dropout, Conv2d, Linear, Dropout),
    *(ResponseNorm, WithinChannelLRN, Flatten),
)
FORWARD = {kind: kind.forward for kind in KINDS}
"""The forward pass of each layer class, before anyone patches it."""


def has_own_forward(layer: nn.Module) -> bool:
    """Whether a layer's forward pass was replaced: by a subclass, on the object, or by a patch."""
    if FORWARD.get(type(layer)) is not type(layer).forward:
        return True
    return not vars(layer).keys().isdisjoint({"forward", "_conv_forward"})


def build_module(info: LayerInfo) -> nn.Module:
    """The torch module of a layer.

    Raises:
        TypeError: an unknown layer type.
    """
    layer = info.layer
    match layer:
        case layers.Conv():
            return Conv2d(layer, info.input[0])
        case layers.FullyConnected():
            return Linear(info.input[0], layer.features, bias=layer.bias)
        case layers.Activation():
            return ACTIVATIONS[layer.function]()
        case layers.ResponseNorm():
            return ResponseNorm(layer.size, layer.alpha, layer.beta, layer.k, layer.groups)
        case layers.WithinChannelLRN():
            return WithinChannelLRN(layer.size, layer.alpha, layer.beta, layer.k)
        case layers.BatchNorm():
            batch_norm = nn.BatchNorm2d if len(info.input) == 3 else nn.BatchNorm1d
            return batch_norm(info.input[0], eps=layer.eps, momentum=layer.momentum)
        case layers.Dropout():
            return Dropout(layer.p)
        case layers.Flatten():
            return Flatten(layer)
    return _pool(layer)


def _pool(layer: layers.Layer) -> nn.Module:
    match layer:
        case layers.Pool(reduce="max"):
            return nn.MaxPool2d(layer.size, layer.stride, ceil_mode=layer.ceil)
        case layers.Pool():
            return nn.AvgPool2d(layer.size, layer.stride, ceil_mode=layer.ceil)
        case layers.AdaptivePool(reduce="max"):
            return nn.AdaptiveMaxPool2d(layer.size)
        case layers.AdaptivePool():
            return nn.AdaptiveAvgPool2d(layer.size)
    raise TypeError(f"no torch module for {layer}")


def init_weights(module: nn.Conv2d | nn.Linear, init: layers.Init) -> None:
    """Initialize a module's weight and bias with torch's global random generator.

    Not on the meta device: there are no values, and torch would import `torch._dynamo` (a second).
    """
    if module.weight.is_meta:
        return
    match init.kind:
        case "torch":
            module.reset_parameters()
            return
        case "normal":
            nn.init.normal_(module.weight, 0.0, init.std)
        case "glorot_uniform":
            nn.init.xavier_uniform_(module.weight)
        case "he_normal":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if module.bias is not None:
        nn.init.constant_(module.bias, init.bias)
