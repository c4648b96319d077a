"""Batch norm, ReLU and max pooling in one pass, forward and backward, for training on the CPU.

Only the input is kept for the backward pass, and where there is pooling, a byte for each pooled
value: neither the normalized values nor those of the ReLU (docs/performance.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.library import call_kernel
from alexnet.ops.relu_norm_pool import NO_NORM, can_use_one_pass
from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tensors import SUFFIX


def can_normalize_in_one_pass(x: Tensor, norm: nn.BatchNorm2d, window: int) -> bool:
    """Whether `batch_norm_relu_pool` supports this norm and these activations [N, C, H, W]."""
    is_plain = type(norm) is nn.BatchNorm2d and norm.affine and norm.momentum is not None
    if not (is_plain and norm.training and norm.track_running_stats):
        return False
    has_statistics = x.ndim == 4 and len(x) * x.shape[2] * x.shape[3] > 1
    return x.device.type == "cpu" and has_statistics and can_use_one_pass(x, NO_NORM, window)


def batch_norm_relu_pool(
    x: Tensor, norm: nn.BatchNorm2d, window: int = 1, stride: int = 1
) -> Tensor:
    """max_pool2d(relu(norm(x))): [N, C, H, W] to [N, C, H', W'], channels last.

    Args:
        x: activations for which `can_normalize_in_one_pass`.
        norm: in training; its running statistics change.
        window: side of a pooling window; 1 without pooling.
        stride: of the windows.

    Source: Ioffe and Szegedy 2015, algorithm 1.
    """
    y: Tensor
    y, mean, var = _BatchNormReluPool.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, norm.eps, window, stride
    )
    count, momentum = x.numel() // x.shape[1], norm.momentum
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert momentum is not None
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        norm.running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
        norm.running_var.mul_(1 - momentum).add_(var, alpha=momentum * count / (count - 1))
    return y


class _BatchNormReluPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, window: int, stride: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        n, c, h, w = x.shape
        rows, columns = ((side - window) // stride + 1 for side in (h, w))
        ctx.sizes = n, h, w, 1, c, 0, window, stride, rows, columns
        mean, var = _mean_and_variance(x, ctx.sizes)
        root = (var + eps).rsqrt()
        scale = weight.double() * root
        constants = torch.stack([scale, bias - mean * scale]).float()
        y = x.new_empty(n, rows, columns, c)
        places = x.new_empty(y.shape if window > 1 else 0, dtype=torch.uint8)
        _call(x, "forward", x, constants, y, places, ctx.sizes)
        ctx.save_for_backward(x, weight, bias, constants, mean, root, places)
        ctx.eps = eps
        mean, var = mean.float(), var.float()
        ctx.mark_non_differentiable(mean, var)
        return y.permute(0, 3, 1, 2), mean, var

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        x, weight, bias, constants, mean, root, places = ctx.saved_tensors
        n, h, w, _, c, _, window, stride, *_ = ctx.sizes
        if torch.is_grad_enabled():
            plain = partial(_three_operations, eps=ctx.eps, window=window, stride=stride)
            inputs = x, weight, bias
            return *differentiable_gradients(plain, inputs, grad_outputs[0]), None, None, None
        x, grad = (  # x may have been stored and loaded in another order (saved-tensor hooks)
            t.contiguous(memory_format=torch.channels_last)
            for t in (x, grad_outputs[0].to(x.dtype))
        )
        places = places.contiguous()
        sums = x.new_empty(n, 2, c, dtype=torch.float32)
        constants = torch.cat([constants, mean[None].float()])
        _call(x, "sums", x, constants, grad, places, sums, ctx.sizes)
        grad_bias, products = sums.double().sum(0)
        grad_weight = products * root
        scale, count = constants[0].double(), n * h * w
        slope, offset = -scale * root * grad_weight / count, -scale * grad_bias / count
        constants = torch.cat([constants, torch.stack([slope, offset]).float()])
        grad_x = torch.empty_like(x)
        _call(x, "backward", x, constants, grad, places, grad_x, ctx.sizes)
        return grad_x, grad_weight.float(), grad_bias.float(), None, None, None


def _three_operations(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, window: int, stride: int
) -> Tensor:
    """`batch_norm_relu_pool` in plain torch operations, rounded once."""
    y = F.batch_norm(x.float(), None, None, weight, bias, training=True, eps=eps).relu()
    return (y if window == stride == 1 else F.max_pool2d(y, window, stride)).to(x.dtype)


def _mean_and_variance(x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, float64 [C], from the images' by Chan et al. 1983."""
    moments = x.new_empty(len(x), 2, x.shape[1], dtype=torch.float32)
    _call(x, "moments", x, moments, sizes)
    means, squares = moments.double().unbind(1)
    mean = means.mean(0)
    pixels = x.shape[2] * x.shape[3]
    return mean, squares.sum(0) / (len(x) * pixels) + (means - mean).square().mean(0)


def _call(x: Tensor, kernel: str, *arguments: Any) -> None:
    call_kernel(f"batch_norm_relu_pool_{SUFFIX[x.dtype]}_{kernel}", *arguments)
