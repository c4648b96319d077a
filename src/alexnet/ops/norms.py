"""Response normalization across channels (the paper's LRN) and within a channel."""

from __future__ import annotations

import functools
import warnings
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.io.text import error_text
from alexnet.ops.library import KernelLibrary, call_kernel, load_kernels
from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tensors import SUFFIX
from alexnet.ops.tracing import is_exporting, is_traced, is_transformed, no_autocast

MAX_KERNEL_CHANNELS = 1024
"""Maximum number of channels, and maximum window size, for which the C kernel has stack memory."""
MAX_TRITON_SIZE = 32
"""Window size up to which the Triton kernels unroll their loops."""
MIN_CAPABILITY = (7, 0)
"""Compute capability of the oldest GPUs that Triton compiles for."""


def response_norm(
    x: Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    groups: int = 1,
) -> Tensor:
    """b_i = a_i / (k + alpha * sum of a_j^2 over the channels j around i) ** beta, in each group.

    Computed in float32 (float64 stays) also under autocast; the result has the dtype and memory
    format of `x`. The backward pass saves `x` alone and computes the rest again. Each pass is one
    kernel, in C on the CPU and in Triton on a GPU; where there is none it is plain torch.

    Args:
        x: activations [N, C, H, W], or with more axes after C.
        size: channels in a window centered on channel i; an even size has one more before i.
        alpha: factor of the sum of squares.
        beta: exponent.
        k: offset.
        groups: groups of C / groups channels; a window does not cross their borders.

    Raises:
        ValueError: C is not a multiple of `groups`, `size` or `groups` is less than 1, or there are
            fewer than four axes: of [C, H, W] and [N, C, L] both are usual, so neither is guessed.

    Source: Paper, section 3.3; alpha as printed. torch's LocalResponseNorm takes alpha * size.
    """
    if x.ndim > 4:
        maps = x.flatten(2, -2)
        return response_norm(maps, size, alpha, beta, k, groups).reshape(x.shape)
    _check_arguments(x, size, groups)
    if is_exporting() or is_transformed():  # then it must consist of torch's own operations
        return reference_norm(x, size, alpha, beta, k, groups)
    return torch.ops.alexnet.response_norm(x, size, alpha, beta, k, groups)  # type: ignore[no-any-return]


def reference_norm(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """`response_norm` in plain torch operations."""
    with no_autocast(x.device.type):
        a = _upcast(x)
        scale = _scale(a, size, alpha, k, groups)
        return (a * _negative_power(scale, beta)).to(x.dtype)


def reference_backward(
    x: Tensor, grad_output: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """The gradient of `response_norm` w.r.t. x, in plain torch operations.

    With s_i = k + alpha * sum of a_j^2 and g the gradient w.r.t. the output, that w.r.t. a_j is

        g_j s_j^-beta - 2 alpha beta a_j * sum of g_i a_i s_i^(-beta - 1)

    over the channels i whose window contains j.
    """
    with no_autocast(x.device.type):
        a, g = _upcast(x), _upcast(grad_output)
        scale = _scale(a, size, alpha, k, groups)
        factor = _negative_power(scale, beta)
        terms = _sum_over_channels(g * a * factor / scale, size, groups, mirrored=True)
        return (g * factor - 2 * alpha * beta * a * terms).to(x.dtype)


@torch.library.custom_op("alexnet::response_norm", mutates_args=())
def response_norm_op(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """The response norm as one custom operation."""
    _check_arguments(x, size, groups)
    constants = (size, alpha, beta, k, groups)
    if has_triton_kernels(x, size):
        from alexnet.ops import norms_triton

        return _with_strides_of(x, norms_triton.forward(_channels_last(x), *constants))
    kernels = _kernels_for(x, size)
    if kernels is None:
        return _with_strides_of(x, reference_norm(x, *constants))
    x_nhwc = _channels_last(x)
    y = torch.empty_like(x_nhwc)
    kernels.call(f"response_norm_{SUFFIX[x.dtype]}", x_nhwc, y, *_kernel_constants(x, *constants))
    return _with_strides_of(x, y)


@torch.library.custom_op("alexnet::response_norm_backward", mutates_args=())
def response_norm_backward_op(
    x: Tensor, grad_output: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    """The gradient of `response_norm` w.r.t. x as one custom operation."""
    _check_arguments(x, size, groups)
    if grad_output.shape != x.shape:
        raise ValueError(f"a gradient of shape {list(grad_output.shape)} for {list(x.shape)}")
    constants = (size, alpha, beta, k, groups)
    kernels = _kernels_for(x, size)
    if kernels is None and not has_triton_kernels(x, size):
        return _with_strides_of(x, reference_backward(x, grad_output, *constants))
    x_nhwc, grad_nhwc = _channels_last(x), _channels_last(grad_output.to(x.dtype))
    if kernels is None:
        from alexnet.ops import norms_triton

        return _with_strides_of(x, norms_triton.backward(x_nhwc, grad_nhwc, *constants))
    grad_input = torch.empty_like(x_nhwc)
    name = f"response_norm_{SUFFIX[x.dtype]}_backward"
    kernels.call(name, x_nhwc, grad_nhwc, grad_input, *_kernel_constants(x, *constants))
    return _with_strides_of(x, grad_input)


def has_triton_kernels(x: Tensor, size: int) -> bool:
    """Whether Triton kernels support `x`: values of at most 32 bits on a supported GPU."""
    is_supported = x.is_cuda and x.element_size() <= 4 and size <= MAX_TRITON_SIZE
    return is_supported and x.numel() > 0 and triton_compiles_for(x.device)


@functools.cache
def triton_compiles_for(gpu: torch.device) -> bool:
    """Whether Triton can be used for this GPU; warns with the reason if it is only installed."""
    if find_spec("triton") is None:
        return False
    try:
        if torch.cuda.get_device_capability(gpu) < MIN_CAPABILITY:
            raise RuntimeError("it needs a newer GPU")
        from triton.runtime import driver

        driver.active.get_current_target()  # compiles the driver, which needs a C compiler
    except Exception as error:  # of the compiler, the linker, the GPU's library ..
        reason = f"without Triton, which cannot be used here: {error_text(error)}"
        warnings.warn(f"the response norm is slower {reason}", stacklevel=2)
        return False
    return True


def _kernels_for(x: Tensor, size: int) -> KernelLibrary | None:
    """The C kernels; None where there are none, or they do not support `x`."""
    is_supported = x.device.type == "cpu" and x.dtype in SUFFIX
    if not is_supported or max(x.shape[1], size) > MAX_KERNEL_CHANNELS:
        return None
    return load_kernels()


def _kernel_constants(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> tuple[float, ...]:
    """The C kernel's arguments: rows of adjacent channels, channels per row, and the constants."""
    channels = x.shape[1] // groups
    return x.numel() // channels, channels, size, alpha, beta, k


@response_norm_op.register_fake
def _(x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int) -> Tensor:
    return torch.empty_like(x)


@response_norm_backward_op.register_fake
def _(
    x: Tensor, grad_output: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> Tensor:
    return torch.empty_like(x)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.constants = inputs[1:]


def _backward(ctx: Any, grad_output: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    grad_input = torch.ops.alexnet.response_norm_backward(x, grad_output, *ctx.constants)
    return grad_input, *(None,) * len(ctx.constants)


response_norm_op.register_autograd(_backward, setup_context=_setup_context)


def _setup_second(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.constants = inputs[2:]


def _second_backward(ctx: Any, grad_grad_input: Tensor) -> Any:
    plain = functools.partial(_reference_backward, constants=ctx.constants)
    gradients = differentiable_gradients(plain, ctx.saved_tensors, grad_grad_input)
    return *gradients, *(None,) * len(ctx.constants)


def _reference_backward(x: Tensor, grad_output: Tensor, constants: tuple[Any, ...]) -> Tensor:
    return reference_backward(x, grad_output, *constants)


response_norm_backward_op.register_autograd(_second_backward, setup_context=_setup_second)


def _check_arguments(x: Tensor, size: int, groups: int) -> None:
    """Reject what the kernels would read or write outside the activations for.

    Raises:
        ValueError: as `response_norm`.
    """
    _check_at_least_1(size=size, groups=groups)
    if x.ndim != 4:
        raise ValueError(
            f"response_norm takes activations [N, C, H, W], not {list(x.shape)}; x[None] makes "
            "them of [C, H, W], x[..., None] of [N, C, L]"
        )
    if x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} channels cannot be split into {groups} groups")


def _check_at_least_1(**arguments: int) -> None:
    for name, value in arguments.items():
        if value < 1:  # the kernels would read and write outside the activations
            raise ValueError(f"{name} must be at least 1, not {value}")


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _with_strides_of(x: Tensor, y: Tensor) -> Tensor:
    """`y` in the memory format of x."""
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def _upcast(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it is that."""
    return x if x.dtype == torch.float64 else x.float()


def _scale(a: Tensor, size: int, alpha: float, k: float, groups: int) -> Tensor:
    return _sum_over_channels(a.square(), size, groups).mul(alpha).add(k)


def _sum_over_channels(values: Tensor, size: int, groups: int, mirrored: bool = False) -> Tensor:
    """The sum over the window of every channel: one banded 1 x 1 convolution.

    Args:
        values: [N, C, H, W].
        size: channels in a window.
        groups: groups of C / groups channels.
        mirrored: sum over the channels whose window contains the channel instead.
    """
    before, after = size // 2, (size - 1) // 2
    if mirrored:
        before, after = after, before
    return F.conv2d(values, _band(values, before, after, groups), groups=groups)


def _band(x: Tensor, before: int, after: int, groups: int) -> Tensor:
    """The kernel [C, C / groups, 1, 1]: 1 where channel j is in the window of channel i, else 0."""
    channels = x.shape[1] // groups
    index = torch.arange(channels, device=x.device)
    offset = index[None, :] - index[:, None]
    band = (offset >= -before) & (offset <= after)
    return band.to(x.dtype).repeat(groups, 1)[:, :, None, None]


def _negative_power(x: Tensor, beta: float) -> Tensor:
    """`x ** -beta`, elementwise."""
    if beta == 0.75:  # two square roots are several times cheaper than a power
        root = x.rsqrt()
        return root * root.sqrt()
    return x.pow(-beta)


def within_channel_lrn(
    x: Tensor, size: int = 5, alpha: float = 1e-3 / 25, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Local response normalization within each channel, at every pixel.

    b_i = a_i / (k + alpha * sum of a_j^2 over the pixels j around pixel i) ** beta. The window is
    size x size pixels, zero outside the image. Types are as in `response_norm`. On a CPU each pass
    is one kernel in C, and the backward pass saves `x` alone; elsewhere it is plain torch.

    Args:
        x: activations [N, C, H, W].
        size: side of the window, odd.
        alpha: factor of the sum of squares.
        beta: exponent.
        k: offset.

    Raises:
        ValueError: `size` is less than 1.

    Source: Code2012, "cnorm2" of net 145: size 5, scale 1e-3 divided by 25, power .75, k = 1.
    """
    _check_at_least_1(size=size)
    if size % 2 and _can_use_within_kernel(x):
        y: Tensor = _WithinChannelNorm.apply(x, size, (alpha, beta, k))  # type: ignore[no-untyped-call]
        return y
    return _reference_within_norm(x, size, (alpha, beta, k))


def _reference_within_norm(x: Tensor, size: int, constants: tuple[float, float, float]) -> Tensor:
    alpha, beta, k = constants
    with no_autocast(x.device.type):
        a = _upcast(x)
        mean = F.avg_pool2d(a.square(), size, stride=1, padding=size // 2, count_include_pad=True)
        return (a * _negative_power(mean.mul(alpha * size**2).add(k), beta)).to(x.dtype)


def _can_use_within_kernel(x: Tensor) -> bool:
    """Whether a C kernel can compute `within_channel_lrn` of `x`."""
    is_plain = x.device.type == "cpu" and x.dtype in SUFFIX and x.ndim == 4 and x.numel() > 0
    return is_plain and not is_traced() and load_kernels() is not None


class _WithinChannelNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, constants: tuple[float, float, float]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.size, ctx.constants = size, constants
        return _call_within_kernel(x, None, size, constants)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = functools.partial(
                _reference_within_norm, size=ctx.size, constants=ctx.constants
            )
            return *differentiable_gradients(plain, [x], grad_outputs[0]), None, None
        return _call_within_kernel(x, grad_outputs[0], ctx.size, ctx.constants), None, None


def _call_within_kernel(
    x: Tensor, grad: Tensor | None, size: int, constants: tuple[float, float, float]
) -> Tensor:
    """The norm of x; where `grad` (w.r.t. the norm's output) is given, the gradient w.r.t. x."""
    x_nhwc = _channels_last(x)
    grad_nhwc = None if grad is None else _channels_last(grad.to(x.dtype))
    result = torch.empty_like(x_nhwc)
    n, channels, height, width = x.shape
    sizes = n, height, width, channels, size
    kernel = f"within_channel_norm_{SUFFIX[x.dtype]}"
    call_kernel(kernel, x_nhwc, grad_nhwc, result, sizes, *map(float, constants))
    return _with_strides_of(x, result)
