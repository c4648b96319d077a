"""A network prepared for inference: constants folded, fewer products, smaller weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from alexnet.int8 import (
    FIRST_EXACT,
    Int8Conv,
    Int8Layer,
    Int8Linear,
    SmallLinear,
    bias_of,
    multiplies_bytes,
)
from alexnet.kernels import BLOCK, Kernels, kernels
from alexnet.layers import ConvModule, FlattenModule, MapNormModule, ResponseNormModule
from alexnet.network import Network, channels_last
from alexnet.precision import computing_type
from alexnet.recipe import Precision
from alexnet.winograd import WinogradConv, takes_winograd


def optimized_network(
    network: Network, precision: Precision = "auto", *, has_int8: bool = True
) -> Network:
    """The same network for inference alone; the given one stays as it is.

    Batch norms are folded into the layer before them. On a processor, a ReLU is one pass with the
    norm and max pooling behind it, or part of the layer before it, so `stages` shows less.

    Layers are rounded to bytes where that may be (`int8.py`): fully connected ones read weights of
    one byte for small batches, and where the processor multiplies bytes, layers from the third on
    whose inputs are not negative multiply them. Other weights are bf16 where that is in hardware;
    where it is not, convolutions of 3 x 3 and 5 x 5 take Winograd's way (float32, about 1e-5 of the
    largest output away from the direct sum).

    The result is for use at once: layers of bytes can be neither copied nor pickled.

    Args:
        network: a trained network.
        precision: type of the matrix products that are not of bytes.
        has_int8: whether weights and inputs may be rounded to bytes.
    """
    device = next(network.parameters()).device
    preparing = _Preparing(
        dtype=computing_type(device, precision),
        built=kernels() if device.type == "cpu" else None,
        has_int8=has_int8,
    )
    with torch.device("meta"):
        result = Network(network.architecture)
    place, layers = _Place(), folded(copy.deepcopy(network).eval())
    for name, layer in layers.items():
        layers[name] = preparing.prepared(layer, place)
        place = place.after(layer)
    if preparing.built:
        layers = joined(layers, preparing.built)
    for name, layer in layers.items():
        setattr(result, name, layer)
    result.requires_grad_(False)
    return channels_last(result).eval()


@dataclass(frozen=True)
class _Place:
    """Where a layer stands in its net."""

    weighted: int = 0
    """Layers with weights before it."""
    is_positive: bool = False
    """Whether its inputs are never negative."""

    def after(self, layer: nn.Module) -> _Place:
        """The place behind a layer that stands here."""
        is_weighted = isinstance(layer, nn.Conv2d | nn.Linear)
        keeps = self.is_positive and isinstance(layer, KEEPING_THE_SIGN)
        is_positive = keeps or isinstance(layer, nn.ReLU | nn.Sigmoid)
        return _Place(self.weighted + is_weighted, is_positive)


KEEPING_THE_SIGN = (
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d),
    *(nn.Identity, nn.Dropout, FlattenModule, ResponseNormModule, MapNormModule),
)


def folded(network: Network) -> dict[str, nn.Module]:
    """The layers by name, every batch norm folded into the weights before it."""
    layers: dict[str, nn.Module] = {}
    last = ""
    for name, layer in network.named_children():
        before = layers.get(last)
        layers[name] = layer
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            layers[last], layers[name] = fuse_conv_bn_eval(before, layer), nn.Identity()
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            layers[last], layers[name] = fuse_linear_bn_eval(before, layer), nn.Identity()
        last = name
    return layers


@dataclass(frozen=True)
class _Preparing:
    """What decides how a layer is prepared."""

    dtype: torch.dtype
    """Of products that are not of bytes."""
    built: Kernels | None
    has_int8: bool
    """Whether weights and inputs may be rounded to bytes."""

    def prepared(self, layer: nn.Module, place: _Place) -> nn.Module:
        """A layer for inference."""
        if isinstance(layer, ConvModule):
            return self._conv(layer, place)
        if isinstance(layer, nn.Linear):
            return self._linear(layer, place)
        return layer

    def _conv(self, layer: ConvModule, place: _Place) -> nn.Module:
        if self.built and self._multiplies_bytes(place) and not layer.end_padding:
            return Int8Conv(layer, self.dtype, self.built)
        if self.built and self.dtype == torch.float32 and takes_winograd(layer):
            return WinogradConv(layer, self.built)
        if self.built and self.dtype == torch.bfloat16 and takes_blocks(layer):
            return BlockConv(layer, self.built)
        return _Typed(layer, self.dtype)

    def _linear(self, layer: nn.Linear, place: _Place) -> nn.Module:
        if not (self.built and self.has_int8):
            return _Typed(layer, self.dtype)
        is_large_int8 = self._multiplies_bytes(place)
        large = Int8Linear(layer, self.built) if is_large_int8 else _Typed(layer, self.dtype)
        is_small_int8 = layer.in_features % BLOCK == 0
        return SmallLinear(layer, large, self.built) if is_small_int8 else large

    def _multiplies_bytes(self, place: _Place) -> bool:
        is_fit = place.is_positive and place.weighted >= FIRST_EXACT
        return self.has_int8 and is_fit and multiplies_bytes()


class BlockConv(nn.Module):
    """A strided convolution of a picture as one of stride 1 whose channels are blocks of pixels.

    A processor multiplies many channels at once; three leave most of its vectors empty. A kernel of
    11 x 11 with stride 4 becomes one of 3 x 3 over blocks of 4 x 4 x 3, its last row and column of
    weights zero. In bf16.
    """

    def __init__(self, layer: ConvModule, built: Kernels) -> None:
        super().__init__()
        stride, kernel = layer.stride[0], layer.kernel_size[0]
        self.blocks = -(-kernel // stride)
        missing = self.blocks * stride - kernel
        weight = F.pad(layer.weight.detach(), (0, missing, 0, missing))
        weight = F.pixel_unshuffle(weight, stride)  # channels in the order channel, row, column
        order = weight.reshape(len(weight), -1, stride**2, self.blocks, self.blocks)
        order = order.transpose(1, 2).flatten(1, 2)
        self.register_buffer("weight", _as_bf16(order))
        self.register_buffer("bias", bias_of(layer).bfloat16())
        self.stride, self.padding, self.built = stride, layer.pads[0], built
        self.room = 2 * self.padding + layer.end_padding - kernel

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to maps bf16, channels last."""
        rows, columns = ((side + self.room) // self.stride + self.blocks for side in x.shape[2:])
        x = x.float().contiguous(memory_format=torch.channels_last)
        blocks = self.built.to_blocks(x, self.stride, self.padding, rows, columns)
        return F.conv2d(blocks, self.get_buffer("weight"), self.get_buffer("bias"))


def takes_blocks(layer: ConvModule) -> bool:
    """Whether a convolution is one of pictures with a stride, and its windows are square."""
    is_picture = layer.in_channels <= 4 and layer.groups == 1
    is_square = len({*layer.kernel_size}) == len({*layer.stride}) == 1
    return is_picture and is_square and layer.stride[0] > 1


def _as_bf16(weight: Tensor) -> Tensor:
    return weight.bfloat16().contiguous(memory_format=torch.channels_last)


class RectifyNormPool(nn.Module):
    """ReLU, response norm where there is one, and max pooling in one pass over memory."""

    def __init__(self, norm: ResponseNormModule | None, pool: nn.MaxPool2d, built: Kernels) -> None:
        super().__init__()
        row = norm.layer if norm else None
        self.norm = (row.size, row.alpha, row.beta, row.k, row.groups) if row else None
        self.window = _side(pool.kernel_size), _side(pool.stride)
        self.built = built

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to pooled maps of the same type, channels last."""
        maps = x.contiguous(memory_format=torch.channels_last)
        return self.built.rectify_norm_pool(maps, self.norm, self.window)


def _side(value: int | tuple[int, int]) -> int:
    """A table's windows are square."""
    return value if isinstance(value, int) else value[0]


def joined(layers: dict[str, nn.Module], built: Kernels) -> dict[str, nn.Module]:
    """The layers, every ReLU joined with what stands around it; identities stand in their places.

    With the norm and the max pooling behind it, where there is a pooling; else with the layer of
    bytes before it.
    """
    result, names = dict(layers), list(layers)
    for place, name in enumerate(names):
        if not isinstance(layers[name], nn.ReLU):
            continue
        above = [one for one in names[:place] if not isinstance(layers[one], nn.Identity)]
        before, behind = above[-1:], names[place + 1 : place + 3]
        norm = layers[behind[0]] if behind else None
        norm = norm if isinstance(norm, ResponseNormModule) else None
        (*inner, last) = (name, *behind[: 2 if norm else 1])
        pool = layers[last]
        if isinstance(pool, nn.MaxPool2d) and not pool.ceil_mode:
            result |= {one: nn.Identity() for one in inner}
            result[last] = RectifyNormPool(norm, pool, built)
        elif before and isinstance(below := layers[before[0]], Int8Layer):
            below.rectify()
            result[name] = nn.Identity()
    return result


class _Typed(nn.Module):
    """A layer with its weights and outputs in the type of its products."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer if dtype == torch.float32 else copy.deepcopy(layer).to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives."""
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.to(self.dtype))
        return y
