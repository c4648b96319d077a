"""A network prepared for inference: constants folded, fewer products, smaller weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from alexnet.int8 import FIRST_EXACT, Int8Conv, Int8Linear, SmallLinear, multiplies_bytes
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

    Batch norms are folded into the layer before them. On a processor, layers that may be rounded to
    bytes are (`int8.py`): fully connected ones read weights of one byte for small batches, and
    where the processor multiplies bytes, layers from the fourth on whose inputs are not negative
    multiply them. Other weights are bf16 where that is in hardware; where it is not, convolutions
    of 3 x 3 and 5 x 5 take Winograd's way (float32, about 1e-5 of the largest output away from the
    direct sum).

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
    place = _Place()
    for name, layer in folded(network).items():
        setattr(result, name, preparing.prepared(layer, place))
        place = place.after(layer)
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
        return self._linear(layer, place) if isinstance(layer, nn.Linear) else layer

    def _conv(self, layer: ConvModule, place: _Place) -> nn.Module:
        if self.built and self._multiplies_bytes(place) and not layer.end_padding:
            return Int8Conv(layer, self.dtype, self.built)
        if self.built and self.dtype == torch.float32 and takes_winograd(layer):
            return WinogradConv(layer, self.built)
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


class _Typed(nn.Module):
    """A layer with its weights in the type of its products; float32 comes in and goes out."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer if dtype == torch.float32 else _converted(layer, dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives."""
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.to(self.dtype))
        return y


def _converted(layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> nn.Module:
    return copy.deepcopy(layer).to(dtype)
