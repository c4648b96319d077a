"""A network prepared for inference: constants folded, fewer products, smaller weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from alexnet.config.recipe import Precision
from alexnet.inference.int8 import (
    Int8Conv,
    Int8Layer,
    Int8Linear,
    WeightOnlyInt8Linear,
    fits_int32_accumulator,
    has_fast_int8,
)
from alexnet.inference.winograd import WinogradConv, can_use_winograd
from alexnet.models.modules import Conv2d, ResponseNorm
from alexnet.models.network import Network, channels_last
from alexnet.ops.library import BLOCK, Kernels, kernels
from alexnet.runtime.device import compute_dtype


def optimize_for_inference(
    network: Network, precision: Precision = "auto", *, int8: bool = True
) -> Network:
    """The same network for inference alone; the given one stays as it is.

    Batch norms are folded into the layer before them. On a processor, a ReLU is one pass with the
    norm and max pooling behind it, or part of the layer of bytes before it, so `stages` shows less.

    Layers multiply bytes where that may be and is in hardware (`int8.py`). Elsewhere fully
    connected ones read weights of one byte for small batches; other weights are bf16 where that is
    in hardware, and where it is not, convolutions of 3 x 3 and 5 x 5 take Winograd's way (float32,
    about 1e-5 of the largest output away from the direct sum).

    The result can be copied and pickled, for processors of the same kind.

    Args:
        network: a trained network.
        precision: type of the matrix products that are not of bytes.
        int8: whether weights and inputs may be rounded to bytes.
    """
    device = next(chain(network.parameters(), network.buffers())).device
    preparing = _LayerOptimizer(
        dtype=compute_dtype(device, precision),
        built=kernels() if device.type == "cpu" else None,
        int8=int8,
    )
    with torch.device("meta"):
        result = Network(network.architecture)
    layers = fold_batch_norm(copy.deepcopy(network).eval())
    layers = {name: preparing.prepared(layer) for name, layer in layers.items()}
    if preparing.built:
        layers = joined(layers, preparing.built)
    for name, layer in layers.items():
        setattr(result, name, layer)
    result.requires_grad_(False)
    return channels_last(result).eval()


def fold_batch_norm(network: Network) -> dict[str, nn.Module]:
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
class _LayerOptimizer:
    """What decides how a layer is prepared."""

    dtype: torch.dtype
    """Of products that are not of bytes."""
    built: Kernels | None
    int8: bool
    """Whether weights and inputs may be rounded to bytes."""

    def prepared(self, layer: nn.Module) -> nn.Module:
        """A layer for inference."""
        if isinstance(layer, Conv2d):
            return self._conv(layer)
        if isinstance(layer, nn.Linear):
            return self._linear(layer)
        return layer

    def _conv(self, layer: Conv2d) -> nn.Module:
        if self.built and self._multiplies_bytes(layer):
            return Int8Conv(layer, self.dtype, self.built)
        if self.built and self.dtype == torch.float32 and can_use_winograd(layer):
            return WinogradConv(layer, self.built)
        return _Cast(layer, self.dtype)

    def _linear(self, layer: nn.Linear) -> nn.Module:
        if self.built and self._multiplies_bytes(layer):
            return Int8Linear(layer, self.built)
        typed = _Cast(layer, self.dtype)
        if self.built and self.int8 and layer.in_features % BLOCK == 0:
            return WeightOnlyInt8Linear(layer, typed, self.built)
        return typed

    def _multiplies_bytes(self, layer: nn.Conv2d | nn.Linear) -> bool:
        return self.int8 and has_fast_int8(self.built) and fits_int32_accumulator(layer)


class FusedReluNormPool(nn.Module):
    """ReLU, response norm where there is one, and max pooling in one pass over memory."""

    def __init__(self, norm: ResponseNorm | None, pool: nn.MaxPool2d, built: Kernels) -> None:
        super().__init__()
        row = norm.layer if norm else None
        self.norm = (row.size, row.alpha, row.beta, row.k, row.groups) if row else None
        self.window = _side(pool.kernel_size), _side(pool.stride)
        self.built = built

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to pooled maps of the same type, channels last."""
        maps = x.contiguous(memory_format=torch.channels_last)
        return self.built.relu_norm_pool(maps, self.norm, self.window)


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
        norm = norm if isinstance(norm, ResponseNorm) else None
        (*inner, last) = (name, *behind[: 2 if norm else 1])
        pool = layers[last]
        if isinstance(pool, nn.MaxPool2d) and not pool.ceil_mode:
            result |= {one: nn.Identity() for one in inner}
            result[last] = FusedReluNormPool(norm, pool, built)
        elif before and isinstance(below := layers[before[0]], Int8Layer):
            below.rectify()
            result[name] = nn.Identity()
    return result


class _Cast(nn.Module):
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
