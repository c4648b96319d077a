"""Layers computed in order, some of them together in one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, fx, nn
from torch.nn.modules import module as torch_module

from alexnet.models.modules import ResponseNorm, has_own_forward
from alexnet.ops.batch_norm_relu_pool import batch_norm_relu_pool, can_normalize_in_one_pass
from alexnet.ops.relu_norm_pool import NO_NORM, Norm, can_use_one_pass, relu_norm_pool

FIRST_OF_PASS = (nn.ReLU, nn.BatchNorm2d)
"""Layers that can begin a sequence of layers computed in one pass."""


def forward_layers(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """The output of the layers, applied to `x` in order.

    While a network is trained on the CPU, (ReLU, response norm or none, max pooling) is one pass,
    and so is (batch norm, ReLU, max pooling or none); unless a layer has hooks or a forward pass of
    its own. The former has the same outputs to the bit; in bf16 nothing is rounded in between, so
    that a gradient goes to the largest value before rounding.
    """
    i = 0
    while i < len(layers):
        count = layers_in_one_pass(layers[i:], x)
        x = layers[i](x) if count == 1 else _one_pass(layers[i : i + count], x)
        i += count
    return x


def layers_in_one_pass(layers: Sequence[nn.Module], x: Tensor) -> int:
    """The number of layers, from the first on, that are computed in one pass for this input."""
    if not isinstance(layers[0], FIRST_OF_PASS) or isinstance(x, fx.Proxy):
        return 1
    for count in (3, 2):
        first = layers[:count]
        if len(first) == count and _is_one_pass(first, x) and not any(map(_is_edited, first)):
            return count
    return 1


def _is_one_pass(layers: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether all these layers can be computed in one pass for this input."""
    match layers:
        case [nn.BatchNorm2d() as norm, nn.ReLU()]:
            return can_normalize_in_one_pass(x, norm, 1)
        case [nn.BatchNorm2d() as norm, nn.ReLU(), nn.MaxPool2d() as pool] if _is_plain(pool):
            return can_normalize_in_one_pass(x, norm, _window(pool)[0])
        case [nn.ReLU(), nn.MaxPool2d() as pool] if _is_plain(pool):
            return can_use_one_pass(x, NO_NORM, _window(pool)[0])
        case [nn.ReLU(), ResponseNorm() as norm, nn.MaxPool2d() as pool] if _is_plain(pool):
            return can_use_one_pass(x, _constants(norm), _window(pool)[0])
    return False


def _one_pass(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """The output for `x` of layers for which `_is_one_pass` is true, computed in one pass."""
    match layers:
        case [nn.BatchNorm2d() as norm, nn.ReLU()]:
            return batch_norm_relu_pool(x, norm)
        case [nn.BatchNorm2d() as norm, nn.ReLU(), nn.MaxPool2d() as pool]:
            return batch_norm_relu_pool(x, norm, *_window(pool))
        case [nn.ReLU(), nn.MaxPool2d() as pool]:
            return relu_norm_pool(x, NO_NORM, *_window(pool))
        case [nn.ReLU(), ResponseNorm() as norm, nn.MaxPool2d() as pool]:
            return relu_norm_pool(x, _constants(norm), *_window(pool))
    raise TypeError(f"no pass for {layers}")


def _is_plain(pool: nn.MaxPool2d) -> bool:
    """Whether the windows are square and inside the image, and the pooling has no other options."""
    if not (isinstance(pool.kernel_size, int) and isinstance(pool.stride, int) and pool.stride > 0):
        return False  # torch's own pooling says what is wrong with a stride of 0
    has_options = pool.ceil_mode or pool.padding or pool.return_indices or pool.dilation != 1
    return not has_options


def _window(pool: nn.MaxPool2d) -> tuple[int, int]:
    """Side and stride of the windows of a pooling for which `_is_plain` is true."""
    assert isinstance(pool.kernel_size, int)
    assert isinstance(pool.stride, int)
    return pool.kernel_size, pool.stride


def _constants(norm: ResponseNorm) -> Norm:
    layer = norm.layer
    return Norm(layer.size, layer.alpha, layer.beta, layer.k, layer.groups)


def _is_edited(layer: nn.Module) -> bool:
    """Whether the module itself must be called: it has hooks, or a forward pass of its own."""
    return has_own_forward(layer) or _has_hooks(layer)


def _has_hooks(layer: nn.Module) -> bool:
    """Whether the layer has forward or backward hooks, or torch has global ones."""
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]
    )
