"""Second derivatives of every operation with a kernel are those of torch's own operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops import tile_conv
from alexnet.ops.batch_norm_relu_pool import batch_norm_relu_pool, can_normalize_in_one_pass
from alexnet.ops.bf16_gradients import bf16_linear
from alexnet.ops.fft_conv import fft_conv2d
from alexnet.ops.norms import reference_norm, response_norm, within_channel_lrn
from alexnet.ops.relu_norm_pool import NO_NORM, Norm, can_use_one_pass, relu_norm_pool
from support.kernels import needs_kernels, randn

NORM = Norm(4, 0.3, 0.75, 1.5, 2)
BF16 = torch.bfloat16
TOLERANCES = {torch.float32: (1e-4, 1e-4), BF16: (0.05, 0.03)}
"""Relative, and as a fraction of the largest value."""


def maps(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    x = randn(*shape, seed=seed).to(dtype)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def vector(*shape: int, seed: int) -> Tensor:
    return randn(*shape, seed=seed).requires_grad_()


def hessian_product(
    operation: Callable[..., Tensor], inputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Of a loss that is not linear in the outputs, with a random vector."""
    y = operation(*inputs)
    loss = (y.double() + randn(*y.shape, seed=7)).square().sum()
    gradients = torch.autograd.grad(loss, inputs, create_graph=True)
    product = sum(
        (gradient.double() * randn(*gradient.shape, seed=8 + i)).sum()
        for i, gradient in enumerate(gradients)
    )
    assert isinstance(product, Tensor)
    return torch.autograd.grad(product, inputs, allow_unused=True)


def check(
    operation: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: Sequence[Tensor]
) -> None:
    """`plain` computes in float64."""
    found = hessian_product(operation, inputs)
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    expected = hessian_product(plain, doubles)
    rtol, fraction = TOLERANCES[inputs[0].dtype]
    for x, ours, wanted in zip(inputs, found, expected, strict=True):
        assert ours is not None
        assert wanted is not None
        assert ours.shape == x.shape
        atol = fraction * float(wanted.abs().max())
        assert atol > 0
        torch.testing.assert_close(ours.double(), wanted, rtol=rtol, atol=atol)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, BF16])
@pytest.mark.parametrize("norm", [NO_NORM, NORM], ids=["no norm", "norm"])
def test_relu_norm_pool(norm: Norm, dtype: torch.dtype) -> None:
    def plain(x: Tensor) -> Tensor:
        y = x.relu()
        return F.max_pool2d(y if norm == NO_NORM else reference_norm(y, *norm), 3, 2)

    x = maps(2, 8, 7, 9, seed=1, dtype=dtype)
    assert can_use_one_pass(x, norm, 3)
    check(lambda x: relu_norm_pool(x, norm, 3, 2), plain, [x])


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, BF16])
@pytest.mark.parametrize("window", [1, 3])
def test_batch_norm_relu_pool(window: int, dtype: torch.dtype) -> None:
    layer, stride = nn.BatchNorm2d(8), min(window, 2)

    def operation(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        layer.weight, layer.bias = weight, bias
        assert can_normalize_in_one_pass(x, layer, window)
        return batch_norm_relu_pool(x, layer, window, stride)

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = F.batch_norm(x, None, None, weight, bias, training=True, eps=layer.eps)
        return F.max_pool2d(y.relu(), window, stride)

    x = maps(3, 8, 7, 9, seed=1, dtype=dtype)
    inputs = [x, *(nn.Parameter(randn(8, seed=seed)) for seed in (2, 3))]
    check(operation, plain, inputs)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, BF16])
def test_response_norm(dtype: torch.dtype) -> None:
    x = maps(2, 8, 3, 4, seed=1, dtype=dtype)
    check(lambda x: response_norm(x, *NORM), lambda x: reference_norm(x, *NORM), [x])


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, BF16])
def test_norm_within_channels(dtype: torch.dtype) -> None:
    def operation(x: Tensor) -> Tensor:
        return within_channel_lrn(x, 3, 0.3, 0.75, 1.5)

    check(operation, operation, [maps(2, 4, 5, 6, seed=1, dtype=dtype)])


def test_response_norm_in_float64_has_second_and_third_derivatives() -> None:
    x = randn(1, 4, 2, 1).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: response_norm(x, *NORM), [x])

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(response_norm(x, *NORM).sum(), x, create_graph=True)[0]

    assert torch.autograd.gradgradcheck(gradient, [x])


@pytest.mark.parametrize("dtype", [torch.float32, BF16])
def test_convolution_by_fft(dtype: torch.dtype) -> None:
    def operation(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return fft_conv2d(x, weight, bias, (1, 0))

    x = maps(2, 3, 6, 7, seed=1, dtype=dtype)
    inputs = [x, vector(4, 3, 5, 3, seed=2), vector(4, seed=3)]
    check(operation, lambda *inputs: F.conv2d(*inputs, padding=(1, 0)), inputs)


@pytest.mark.parametrize("has_bias", [False, True])
def test_convolution_by_tiles(has_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no AMX: torch's operations take the kernel's place."""

    def convolve(
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        padding: tuple[int, int],
        groups: int,
        is_turned: bool = False,
    ) -> Tensor:
        if is_turned:
            padding = (2 - padding[0], 2 - padding[1])
            return F.conv_transpose2d(x, weight, None, padding=padding, groups=groups)
        return F.conv2d(x, weight, bias.to(x.dtype), padding=padding, groups=groups)

    monkeypatch.setattr(tile_conv, "can_use_tiles", lambda *_: True)
    monkeypatch.setattr(tile_conv, "_convolve", convolve)
    monkeypatch.setattr(tile_conv, "NARROW", 0)  # torch's weight gradients
    x = randn(2, 32, 4, 5, seed=1).to(BF16).requires_grad_()  # not channels last
    inputs = [x, vector(32, 16, 3, 3, seed=2), vector(32, seed=3)][: 2 + has_bias]

    def operation(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return tile_conv.tile_conv2d(x, weight, bias, (1, 0), 2)

    check(operation, lambda *inputs: F.conv2d(*inputs, padding=(1, 0), groups=2), inputs)


@needs_kernels
@pytest.mark.parametrize("has_bias", [False, True])
def test_linear_layer_with_a_bf16_gradient(has_bias: bool) -> None:
    inputs = [
        vector(5, 6, seed=1).detach().to(BF16).requires_grad_(),
        nn.Parameter(randn(7, 6, seed=2)),
        nn.Parameter(randn(7, seed=3)),
    ][: 2 + has_bias]

    def operation(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return bf16_linear(x, weight, bias)

    check(operation, F.linear, inputs)


def test_an_input_that_is_computed_from_another_has_its_own_gradient() -> None:
    """Each gets its part alone, also where a weight is used in two layers."""
    weight = vector(2, 2, 3, 3, seed=2)

    def twice(weight: Tensor) -> Tensor:
        x = F.conv2d(randn(1, 2, 9, 9), weight)
        return fft_conv2d(x, weight, None)

    def plain(weight: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(randn(1, 2, 9, 9).double(), weight), weight)

    check(twice, plain, [weight])
