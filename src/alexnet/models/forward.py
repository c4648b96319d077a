"""Layers computed in order, some of them together in one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from alexnet.models.modules import ResponseNorm
from alexnet.ops.relu_norm_pool import NO_NORM, Norm, can_use_one_pass, relu_norm_pool


def forward_layers(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """`x` through the layers in their order.

    While a network is trained on the CPU, (ReLU, response norm or none, max pooling) is one pass,
    unless a layer has hooks. The outputs have the same bits.
    """
    i = 0
    while i < len(layers):
        count = layers_in_one_pass(layers[i:], x)
        x = layers[i](x) if count == 1 else _one_pass(layers[i : i + count], x)
        i += count
    return x


def layers_in_one_pass(layers: Sequence[nn.Module], x: Tensor) -> int:
    """How many of the first layers are computed together for this input."""
    match layers[:3]:
        case [nn.ReLU(), ResponseNorm() as norm, nn.MaxPool2d() as pool]:
            constants, count = _constants(norm), 3
        case [nn.ReLU(), nn.MaxPool2d() as pool, *_]:
            constants, count = NO_NORM, 2
        case _:
            return 1
    is_plain = not (pool.ceil_mode or pool.padding or pool.return_indices) and pool.dilation == 1
    if not (is_plain and isinstance(pool.kernel_size, int) and isinstance(pool.stride, int)):
        return 1
    if any(map(_has_hooks, layers[:count])):
        return 1
    return count if can_use_one_pass(x, constants, pool.kernel_size) else 1


def _one_pass(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """ReLU, norm or none, and pooling of `x`."""
    norm, pool = layers[1], layers[-1]
    assert isinstance(pool, nn.MaxPool2d)
    constants = _constants(norm) if isinstance(norm, ResponseNorm) else NO_NORM
    return relu_norm_pool(x, constants, pool.kernel_size, pool.stride)  # type: ignore[arg-type]


def _constants(norm: ResponseNorm) -> Norm:
    layer = norm.layer
    return Norm(layer.size, layer.alpha, layer.beta, layer.k, layer.groups)


def _has_hooks(layer: nn.Module) -> bool:
    """Whether something looks at what the layer gets or gives."""
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]
    )
