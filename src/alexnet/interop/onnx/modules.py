"""Torch modules for layers that ONNX defines differently from this package.

ONNX's LRN divides alpha by its size, as torch does; ours multiplies each squared term by alpha, as
the paper prints it: ONNX's alpha is ours times the size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.architecture import LayerInfo
from alexnet.models.layers import AdaptivePool, ResponseNorm, WithinChannelLRN
from alexnet.models.network import Network

Attribute: TypeAlias = (
    int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]
)
"""The types that torch accepts for an ONNX node's attribute."""


class OnnxResponseNorm(nn.Module):
    """Response norm that is exported as ONNX's LRN node.

    It is for export only: outside the exporter, its output has the right shape but no meaning.
    """

    def __init__(self, layer: ResponseNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Normalize [B, C, H, W]; groups of channels become separate images of the LRN node."""
        layer = self.layer
        c, h, w = x.shape[1:]
        grouped = x.reshape(-1, c // layer.groups, h, w) if layer.groups > 1 else x
        attributes: dict[str, Attribute] = {
            "size": layer.size,
            "alpha": layer.alpha * layer.size,
            "beta": layer.beta,
            "bias": layer.k,
        }
        normed: Tensor = torch.onnx.ops.symbolic(
            "LRN", (grouped,), attributes, dtype=x.dtype, shape=grouped.shape, version=13
        )
        return normed.reshape(-1, c, h, w) if layer.groups > 1 else normed


class OnnxWithinChannelLRN(nn.Module):
    """Within-channel LRN in operations that ONNX has: square, average pool, scale, add, power."""

    def __init__(self, layer: WithinChannelLRN) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Normalize [B, C, H, W] to the same shape."""
        layer = self.layer
        mean = F.avg_pool2d(x * x, layer.size, stride=1, padding=layer.size // 2)
        return x * (mean * (layer.alpha * layer.size**2) + layer.k).pow(-layer.beta)


def onnx_modules(network: Network) -> OrderedDict[str, nn.Module]:
    """A network's modules by name, the norms replaced by ones that ONNX can write."""
    layers = zip(network.architecture.layer_infos(), network.layer_modules().values(), strict=True)
    return OrderedDict((info.layer.name, _onnx_module(info, module)) for info, module in layers)


def _onnx_module(info: LayerInfo, module: nn.Module) -> nn.Module:
    layer = info.layer
    if isinstance(layer, ResponseNorm) and layer.size % 2:  # ONNX's LRN needs an odd size
        return OnnxResponseNorm(layer)
    if isinstance(layer, WithinChannelLRN):
        return OnnxWithinChannelLRN(layer)
    if isinstance(layer, AdaptivePool) and info.input == info.output:
        return nn.Identity()
    return module
