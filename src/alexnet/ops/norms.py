"""Response normalisation across maps and within a map."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.ops.library import SUFFIX, kernels


def response_norm(
    x: Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    groups: int = 1,
) -> Tensor:
    """b_i = a_i / (k + alpha * sum of a_j^2 over the maps j around i) ** beta, inside each group.

    Computed in float32 (float64 stays), whatever autocast says, and given back in the type and the
    memory format of `x`. Its backward pass keeps `x` and computes the rest again: on a processor in
    one pass over memory where there is a C compiler (`kernels.py`), else in torch.

    Args:
        x: maps [N, C, H, W].
        size: maps in a window, map i in its middle; an even size reaches one map further back.
        alpha: factor on each squared term.
        beta: power.
        k: offset.
        groups: columns of C / groups maps that do not see each other.

    Raises:
        ValueError: C is not a multiple of `groups`.

    Source: Paper, section 3.3; alpha as printed. torch's LocalResponseNorm takes alpha * size.
    """
    if x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} maps cannot be split into {groups} groups")
    if torch.compiler.is_exporting():  # plain operations, for programs that know no others
        return reference_norm(x, size, alpha, beta, k, groups)
    if x.device.type == "cpu" and x.dtype in SUFFIX:
        return torch.ops.alexnet.response_norm(x, size, alpha, beta, k, groups)  # type: ignore[no-any-return]
    return _ResponseNorm.apply(x, size, alpha, beta, k, groups)  # type: ignore[no-any-return, no-untyped-call]


def reference_norm(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """`response_norm` in plain torch operations."""
    with _full_precision(x.device.type):
        wide = _widened(x)
        scale = _scale(wide, size, alpha, k, groups)
        return (wide * _negative_power(scale, beta)).to(x.dtype)


def reference_backward(
    x: Tensor, g: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """The gradient by x, where g is that by the norm, in plain torch operations.

    With s_i = k + alpha * sum of a_j^2, the gradient by a_j is

        g_j s_j^-beta - 2 alpha beta a_j * sum of g_i a_i s_i^(-beta - 1)

    over the maps i whose window holds j.
    """
    with _full_precision(x.device.type):
        wide, above = _widened(x), _widened(g)
        scale = _scale(wide, size, alpha, k, groups)
        factor = _negative_power(scale, beta)
        terms = _sum_over_channels(above * wide * factor / scale, size, groups, is_mirrored=True)
        return (above * factor - 2 * alpha * beta * wide * terms).to(x.dtype)


class _ResponseNorm(torch.autograd.Function):
    """`reference_norm` with `reference_backward`, which keep x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *constants: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.constants = constants
        return reference_norm(x, *constants)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,) = ctx.saved_tensors
        return reference_backward(x, *gradients, *ctx.constants), *(None,) * len(ctx.constants)


@torch.library.custom_op("alexnet::response_norm", mutates_args=(), device_types="cpu")
def response_norm_cpu(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """`response_norm` as one operation of the processor."""
    built = kernels()
    if built is None or not built.takes(x, size):
        return _like(reference_norm(x, size, alpha, beta, k, groups), x)
    return _like(built.response_norm(_channels_last(x), size, alpha, beta, k, groups), x)


@torch.library.custom_op("alexnet::response_norm_backward", mutates_args=(), device_types="cpu")
def fused_backward(
    x: Tensor, g: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """`reference_backward` as one operation of the processor."""
    built = kernels()
    if built is None or not built.takes(x, size):
        return _like(reference_backward(x, g, size, alpha, beta, k, groups), x)
    maps, above = _channels_last(x), _channels_last(g.to(x.dtype))
    return _like(built.response_norm_backward(maps, above, size, alpha, beta, k, groups), x)


@response_norm_cpu.register_fake
def _(x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int) -> Tensor:
    return torch.empty_like(x)


@fused_backward.register_fake
def _(x: Tensor, g: Tensor, size: int, alpha: float, beta: float, k: float, groups: int) -> Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.constants = inputs[1:]


def _backward(ctx: Any, g: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    dx = torch.ops.alexnet.response_norm_backward(x, g, *ctx.constants)
    return dx, *(None,) * len(ctx.constants)


response_norm_cpu.register_autograd(_backward, setup_context=_keep)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _like(y: Tensor, x: Tensor) -> Tensor:
    """The same values in the memory format of x."""
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def _full_precision(device_type: str) -> AbstractContextManager[object]:
    """Switches autocast off where the device has it (the meta device has not)."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def _widened(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _scale(wide: Tensor, size: int, alpha: float, k: float, groups: int) -> Tensor:
    return _sum_over_channels(wide.square(), size, groups).mul(alpha).add(k)


def _sum_over_channels(values: Tensor, size: int, groups: int, is_mirrored: bool = False) -> Tensor:
    """The sum over the window of every map: one banded 1 x 1 convolution.

    Compiled, it is a sum of shifted maps, which the compiler joins with what stands around it.
    `is_mirrored`: over the maps whose window holds it.
    """
    back, forth = size // 2, (size - 1) // 2
    if is_mirrored:
        back, forth = forth, back
    if not torch.compiler.is_compiling():
        return F.conv2d(values, _band(values, back, forth, groups), groups=groups)
    maps = values.shape[1] // groups
    columns = values.reshape(-1, groups, maps, *values.shape[2:])
    columns = F.pad(columns, (0, 0, 0, 0, back, forth))
    shifted = (columns.narrow(2, offset, maps) for offset in range(size))
    return torch.stack(tuple(shifted)).sum(0).flatten(1, 2)


def _band(x: Tensor, back: int, forth: int, groups: int) -> Tensor:
    """Ones where map j is at most `back` before and `forth` after map i: [C, C / groups, 1, 1]."""
    maps = x.shape[1] // groups
    index = torch.arange(maps, device=x.device)
    offset = index[None, :] - index[:, None]
    band = (offset >= -back) & (offset <= forth)
    return band.to(x.dtype).repeat(groups, 1)[:, :, None, None]


def _negative_power(x: Tensor, beta: float) -> Tensor:
    if beta == 0.75:  # two square roots are several times cheaper than a power
        root = x.rsqrt()
        return root * root.sqrt()
    return x.pow(-beta)


def within_channel_lrn(
    x: Tensor, size: int = 5, alpha: float = 1e-3 / 25, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each value a of a map becomes a / (k + alpha * sum of a^2 over its window) ** beta.

    The window is size x size in the same map; outside the map is zero.

    Args:
        x: maps [N, C, H, W].
        size: side of the window, odd.
        alpha: factor on each squared term.
        beta: power.
        k: offset.

    Source: Code2012, "cnorm2" of net 145: size 5, scale 1e-3 divided by 25, power .75, k = 1.
    """
    with _full_precision(x.device.type):
        wide = _widened(x)
        mean = F.avg_pool2d(
            wide.square(), size, stride=1, padding=size // 2, count_include_pad=True
        )
        return (wide * _negative_power(mean.mul(alpha * size**2).add(k), beta)).to(x.dtype)
