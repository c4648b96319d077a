"""A network optimized for inference: batch norms folded, layers replaced by faster ones."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from alexnet.checkpoints.validation import check_tensors
from alexnet.config.recipe import Precision
from alexnet.errors import ConfigError, UsageError
from alexnet.inference.fused import FusedReluNormPool
from alexnet.inference.int8 import (
    MAX_WEIGHT_ONLY_BATCH,
    MAX_WEIGHT_ONLY_BATCH_BESIDE_TILES,
    WEIGHT_BLOCK,
    FusedReluLayer,
    Int8Conv2d,
    Int8Linear,
    WeightOnlyInt8Linear,
    fits_int32_accumulator,
    has_fast_int8,
    has_only_bf16_tiles,
)
from alexnet.inference.int8_kernels import maps_at_a_time
from alexnet.inference.winograd import WinogradConv2d, can_use_winograd
from alexnet.models.architecture import Architecture
from alexnet.models.forward import forward_layers
from alexnet.models.modules import Conv2d, Flatten, Linear, ResponseNorm, has_own_forward
from alexnet.models.network import Network, channels_last
from alexnet.models.network_checks import check_layers, check_no_hooks
from alexnet.ops.huge_pages import on_huge_pages
from alexnet.ops.library import KernelLibrary, load_kernels
from alexnet.runtime.device import compute_dtype


def optimize_for_inference(
    network: Network, precision: Precision = "auto", *, int8: bool = True
) -> Network:
    """A copy of a network, optimized for inference; the given one is not changed.

    Batch norms are folded into the layer before them. On the CPU a ReLU is fused with the response
    norm and max pooling after it, or with the quantized layer before it, so `intermediate_outputs`
    has the same names, but some of its values are those after the fused operations.

    Where int8 is allowed and is the fastest type of the CPU, layers compute in int8 (`int8.py`).
    Elsewhere fully connected layers read int8 weights for small batches. The other weights are bf16
    where the CPU has it; elsewhere convolutions of 3 x 3 and 5 x 5 use Winograd's filtering
    (float32, about 1e-5 of the largest output away from the direct sum).

    The result can be copied and pickled, for CPUs of the same kind.

    Args:
        network: a trained network.
        precision: type in which layers that are not quantized compute.
        int8: whether weights and activations may be quantized to 8 bits.

    Raises:
        UsageError: a layer was replaced or has other settings than in the network's architecture,
            or a hook on its forward pass, which the optimized one would not have.
    """
    _check(network, network.architecture, "network cannot be optimized")
    device = next(chain(network.parameters(), network.buffers())).device
    kernels = load_kernels() if device.type == "cpu" else None
    optimizer = LayerOptimizer(
        dtype=compute_dtype(device, precision),
        kernels=kernels,
        int8=int8,
        is_bf16_faster=has_only_bf16_tiles(kernels),
    )
    return optimizer.optimize(network)


class OptimizedNetwork(Network):
    """The network that `optimize_for_inference` makes."""

    def forward(self, images: Tensor) -> Tensor:
        """The logits, as `Network.forward` returns them.

        In int8, where an image's logits do not depend on its batch, the convolutional layers are
        computed for `maps_at_a_time` images at a time, to limit memory.
        """
        at_a_time = maps_at_a_time(images[:1].numel())
        if len(images) <= at_a_time or not self._is_int8():
            return super().forward(images)
        self._check(images)
        layers = list(self.layer_modules().values())
        count = next((i for i, one in enumerate(layers) if isinstance(one, Flatten)), len(layers))
        parts = torch.split(images, at_a_time)
        features = torch.cat([forward_layers(layers[:count], part) for part in parts])
        return forward_layers(layers[count:], features)

    def _is_int8(self) -> bool:
        """Whether every convolution is in int8."""
        return not any(isinstance(one, nn.Conv2d | WinogradConv2d) for one in self.modules())


def is_optimized(network: Network) -> bool:
    """Whether a network is one that `optimize_for_inference` has made."""
    kinds = (FusedReluLayer, WinogradConv2d, _Cast)
    return any(isinstance(layer, kinds) for layer in network.modules())


def to_float32(network: Network) -> Network:
    """The network, if no weight is in fp16 or bf16, else a copy that computes in float32."""
    is_half = any(p.dtype in (torch.float16, torch.bfloat16) for p in network.parameters())
    if not is_half:
        return network
    result = copy.deepcopy(network).float()
    for layer in result.modules():
        if isinstance(layer, _Cast):
            layer.dtype = torch.float32
    return result


def unoptimized_weights(
    network: Network, arch: Architecture, done: str, *, allow_hooks: bool = True
) -> dict[str, Tensor]:
    """The state dict of a network, after a check that it is not optimized or edited.

    Args:
        network: a classifier's network.
        arch: the classifier's architecture.
        done: what cannot be done with another network, for the message: "saved".
        allow_hooks: whether layers may have hooks on their forward pass.

    Raises:
        UsageError: the network is optimized for inference, a layer was replaced or has other
            settings or a hook, or a weight does not fit or is not finite.
    """
    if is_optimized(network):
        raise UsageError(f"an optimized classifier cannot be {done}; use the one it was made of")
    _check(network, arch, f"classifier cannot be {done}", allow_hooks=allow_hooks)
    weights = network.state_dict()
    try:
        check_tensors(arch, weights)
    except ConfigError as error:
        raise UsageError(f"the classifier cannot be {done}: {error}") from error
    return weights


def _check(
    network: Network, arch: Architecture, problem: str, *, allow_hooks: bool = False
) -> None:
    try:
        if not isinstance(network, OptimizedNetwork):
            check_layers(network, arch)
        if not allow_hooks:
            check_no_hooks(network)
    except ConfigError as error:
        raise UsageError(f"the {problem}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class LayerOptimizer:
    """An optimizer that replaces each layer by the fastest equivalent that the CPU supports."""

    dtype: torch.dtype
    """Type in which layers that are not quantized compute."""
    kernels: KernelLibrary | None
    """The C kernels; None on a GPU or without a compiler."""
    int8: bool
    """Whether weights and activations may be quantized."""
    is_bf16_faster: bool
    """Whether bf16 is preferred to int8: by tiles (AMX) it is multiplied faster than int8 by
    vectors (docs/performance.md)."""

    def optimize(self, network: Network) -> Network:
        """See `optimize_for_inference`."""
        shared = {id(t): t for t in chain(network.parameters(), network.buffers())}
        layers = fold_batch_norm(copy.deepcopy(network, shared).eval())
        layers = {name: self.optimize_layer(layer) for name, layer in layers.items()}
        if self.kernels:
            layers = fuse_relu(layers, self.kernels)
        with torch.device("meta"):
            result = OptimizedNetwork(network.architecture)
        for name, layer in layers.items():
            setattr(result, name, layer)
        result.requires_grad_(False)
        optimized = channels_last(result).eval()
        for tensor in chain(optimized.parameters(), optimized.buffers()):
            tensor.data = on_huge_pages(tensor.data)
        return optimized

    def optimize_layer(self, layer: nn.Module) -> nn.Module:
        """A copy of the layer, or a faster one: the same within the tolerance of its type."""
        if has_own_forward(layer):
            return copy.deepcopy(layer)
        if isinstance(layer, Conv2d):
            return self._conv(layer)
        if isinstance(layer, Linear):
            return self._linear(layer)
        return copy.deepcopy(layer)

    def _conv(self, layer: Conv2d) -> nn.Module:
        if self.kernels and self._can_use_int8(layer):
            dtype = torch.float32 if layer.is_last else self.dtype
            return Int8Conv2d(layer, dtype, self.kernels)
        if self.kernels and self.dtype == torch.float32 and can_use_winograd(layer):
            return WinogradConv2d(layer, self.kernels)
        return self._cast(layer)

    def _linear(self, layer: Linear) -> nn.Module:
        if self.kernels and self._can_use_int8(layer):
            return Int8Linear(layer, self.kernels)
        cast = self._cast(layer)
        if self.kernels and self.int8 and layer.in_features % WEIGHT_BLOCK == 0:
            is_by_tiles = self.is_bf16_faster and cast.dtype == torch.bfloat16
            most = MAX_WEIGHT_ONLY_BATCH_BESIDE_TILES if is_by_tiles else MAX_WEIGHT_ONLY_BATCH
            return WeightOnlyInt8Linear(layer, cast, self.kernels, most)
        return cast

    def _cast(self, layer: Conv2d | Linear) -> nn.Module:
        is_float32 = layer.is_last or self._overflows(layer)
        return _Cast(layer, torch.float32 if is_float32 else self.dtype)

    def _overflows(self, layer: Conv2d | Linear) -> bool:
        """Whether a weight is too large for fp16."""
        if self.dtype != torch.float16:
            return False
        largest = max(float(p.detach().abs().max()) for p in layer.parameters())
        return largest > torch.finfo(self.dtype).max

    def _can_use_int8(self, layer: nn.Conv2d | nn.Linear) -> bool:
        is_fastest = has_fast_int8(self.kernels) and not self.is_bf16_faster
        return self.int8 and is_fastest and fits_int32_accumulator(layer)


def fold_batch_norm(network: Network) -> dict[str, nn.Module]:
    """The layers by name, with every batch norm folded into the weights before it."""
    layers: dict[str, nn.Module] = {}
    last = ""
    for name, layer in network.layer_modules().items():
        folded = _folded(layers.get(last), layer)
        if folded:
            layers[last], layers[name] = folded, nn.Identity()
        else:
            layers[name] = layer
        last = name
    return layers


def _folded(layer: nn.Module | None, norm: nn.Module) -> nn.Module | None:
    """The layer with `norm` folded into its weights; None if the two cannot be folded."""
    if layer is None or has_own_forward(layer) or has_own_forward(norm):
        return None
    match layer, norm:
        case nn.Conv2d(), nn.BatchNorm2d():
            return fuse_conv_bn_eval(layer, norm)
        case nn.Linear(), nn.BatchNorm1d():
            return fuse_linear_bn_eval(layer, norm)
    return None


def fuse_relu(layers: dict[str, nn.Module], kernels: KernelLibrary) -> dict[str, nn.Module]:
    """The layers by name, with ReLUs fused with their neighbors and replaced by an identity.

    ReLU, response norm (or none) and max pooling become one layer. Any other ReLU is fused into
    the `FusedReluLayer` before it, which is changed, or stays if there is none.
    """
    result, names, modules = dict(layers), list(layers), list(layers.values())
    before: nn.Module | None = None
    i = 0
    while i < len(names):
        fused = 1
        match [None if has_own_forward(layer) else layer for layer in modules[i : i + 3]]:
            case [nn.ReLU(), ResponseNorm() as norm, nn.MaxPool2d(ceil_mode=False) as pool]:
                result[names[i]], result[names[i + 1]] = nn.Identity(), nn.Identity()
                result[names[i + 2]] = FusedReluNormPool(norm, pool, kernels)
                fused = 3
            case [nn.ReLU(), nn.MaxPool2d(ceil_mode=False) as pool, *_]:
                result[names[i]] = nn.Identity()
                result[names[i + 1]] = FusedReluNormPool(None, pool, kernels)
                fused = 2
            case [nn.ReLU(), *_] if isinstance(before, FusedReluLayer):
                before.fuse_relu()
                result[names[i]] = nn.Identity()
        last = modules[i + fused - 1]
        before = before if isinstance(last, nn.Identity) else last
        i += fused
    return result


class _Cast(nn.Module):
    """A layer whose weights, inputs and outputs are cast to the type in which it computes."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        converted = {id(p): _converted(p, dtype) for p in layer.parameters()}
        self.layer = copy.deepcopy(layer, converted)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """The layer's outputs, of type `dtype`, for activations of any floating-point type."""
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.to(self.dtype))
        return y


def _converted(parameter: nn.Parameter, dtype: torch.dtype) -> nn.Parameter:
    """A copy of a parameter with another dtype, without gradients."""
    return nn.Parameter(parameter.detach().to(dtype, copy=True), requires_grad=False)
