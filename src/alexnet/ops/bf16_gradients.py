"""Weights with bf16 gradients and a bf16 copy, for training fully connected layers on the CPU.

Under autocast torch casts every weight to bf16 in each step, and its gradient back to float32. Of
AlexNet's 61 million weights 59 are in fully connected layers, and that takes a seventh of a step
(docs/performance.md). Here the gradient stays in the bf16 in which it was computed, and the
optimizer, which reads it, also writes the weights in bf16 for the next step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import get_total_norm

from alexnet.ops.arrays import check_array
from alexnet.ops.library import load_kernels
from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tile_gradients import can_compute_linear_gradients, linear_gradients

SQUARES_BLOCK = 1 << 16
"""Number of values whose squares are added up by one thread."""
COPY = "_bf16_copy"
"""Name of the attribute of a weight that holds its bf16 copy, and the version that was copied
(`_version_of`)."""


def can_have_bf16_gradient(weight: Tensor) -> bool:
    """Whether `sgd_step` and `adam_step` can update this weight by a bf16 gradient."""
    is_plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    has_type = hasattr(torch.Tensor, "grad_dtype")  # from torch 2.10 on
    return is_plain and has_type and weight.is_contiguous() and load_kernels() is not None


def bf16_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear` in bf16; the weight's gradient is bf16.

    Args:
        x: [N, in_features].
        weight: float32 [out_features, in_features], whose `grad_dtype` allows bf16.
        bias: float32 [out_features], or None.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, copy = x.to(torch.bfloat16), bf16_copy(weight)
        y: Tensor = _Bf16Linear.apply(  # type: ignore[no-untyped-call]
            x, weight, copy, bias
        )
    return y


def bf16_copy(weight: Tensor) -> Tensor:
    """The weight in bf16, copied if it has changed since it was copied last.

    torch counts no changes through `weight.data`. They are noticed where one is in the diagonal;
    `torch.autograd.graph.increment_version(weight)` tells of those of a few weights.
    """
    copy, version = _last_copy(weight)
    if version != _version_of(weight) or not _have_equal_diagonals(weight, copy):
        copy.copy_(weight.detach())
        setattr(weight, COPY, (copy, _version_of(weight)))
    return copy


def _last_copy(weight: Tensor) -> tuple[Tensor, object]:
    """The weight's last bf16 copy and its version; at first uninitialized values and None."""
    found: tuple[Tensor, object] | None = getattr(weight, COPY, None)
    return found or (torch.empty_like(weight, dtype=torch.bfloat16, requires_grad=False), None)


def _version_of(weight: Tensor) -> tuple[int, int]:
    return weight._version, weight.data_ptr()


def _have_equal_diagonals(weight: Tensor, copy: Tensor) -> bool:
    """Whether weight and copy have equal diagonals in bf16; two NaNs count as equal."""
    ones, others = (x.diagonal().bfloat16() for x in (weight.detach(), copy))
    return torch.allclose(ones, others, rtol=0, atol=0, equal_nan=True)


def gradient_norm(gradients: Iterable[Tensor]) -> Tensor:
    """As `torch.nn.utils.get_total_norm`; bf16 gradients on the CPU are read by a kernel."""
    norms, kernels = [], load_kernels()
    for gradient in gradients:
        if gradient.device.type == "cpu" and gradient.dtype == torch.bfloat16 and kernels:
            count, block = gradient.numel(), SQUARES_BLOCK
            sums = gradient.new_empty(math.ceil(count / block), dtype=torch.float32)
            kernels.call("squares_bf16", gradient.contiguous(), sums, count, block)
            norms.append(sums.sum().sqrt())
        else:
            norms.append(gradient)
    return get_total_norm(norms)


def sgd_step(
    weight: Tensor, velocity: Tensor, *, lr: float, momentum: float, weight_decay: float
) -> None:
    """Update a weight, its velocity and its bf16 copy by its bf16 gradient.

    The velocity is torch's: v <- momentum * v + g + weight_decay * w; w <- w - lr * v.

    Raises:
        ValueError: weight or velocity is not contiguous float32, or the shapes differ.
    """
    _step("sgd_bf16", weight, (velocity,), lr, momentum, weight_decay)


def adam_step(
    weight: Tensor,
    mean: Tensor,
    square: Tensor,
    step: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    is_decoupled: bool,
) -> None:
    """Update a weight, its moments and its bf16 copy by its bf16 gradient, as torch's Adam does.

    Args:
        weight: changes.
        mean: of the gradients; changes.
        square: mean of their squares; changes.
        step: of this weight, counted from 1.
        lr: learning rate.
        betas: of the two means.
        eps: added to the root of the second.
        weight_decay: times the weight it is added to the gradient.
        is_decoupled: whether the weight is decayed by itself instead (AdamW).

    Raises:
        ValueError: weight or moments are not contiguous float32, or the shapes differ.
    """
    beta1, beta2 = betas
    kept, decay = (1 - lr * weight_decay, 0.0) if is_decoupled else (1.0, weight_decay)
    rate, root = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    factors = rate, 1 - beta1, beta2, 1 - beta2, eps, root, kept, decay
    _step("adam_bf16", weight, (mean, square), *factors)


def _step(kernel: str, weight: Tensor, state: tuple[Tensor, ...], *factors: float) -> None:
    """Call an update kernel, and tell autograd which tensors it changed in place."""
    kernels, gradient, copy = load_kernels(), weight.grad, _last_copy(weight)[0]
    assert kernels
    assert gradient is not None
    gradient, shape, count = gradient.contiguous(), tuple(weight.shape), weight.numel()
    for part in (weight, *state):
        check_array("a weight or its optimizer state", part, "float32", shape)
    for part in (gradient, copy):
        check_array("a weight's gradient or copy", part, "bfloat16", shape)
    kernels.call(kernel, weight, *state, gradient, copy, count, *map(float, factors))
    torch.autograd.graph.increment_version((weight, copy, *state))
    setattr(weight, COPY, (copy, _version_of(weight)))


class _Bf16Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, copy: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, copy, bias)
        return _linear(x, copy, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (x, weight, copy, bias), (grad,) = ctx.saved_tensors, grad_outputs
        if torch.is_grad_enabled():
            grad_x, grad_weight, grad_bias = differentiable_gradients(
                _linear, [x, weight, bias], grad
            )
            return grad_x, grad_weight, None, grad_bias
        needs_x, needs_weight, _, needs_bias = ctx.needs_input_grad
        grad_x = grad @ copy if needs_x else None
        if needs_weight and can_compute_linear_gradients(x.shape[1], grad.shape[1]):
            grad_weight, grad_bias = linear_gradients(x, grad)
            return grad_x, grad_weight, None, grad_bias if needs_bias else None
        return (
            grad_x,
            grad.t() @ x if needs_weight else None,
            None,
            grad.sum(0) if needs_bias else None,
        )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear` in the type of `x`."""
    return F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
