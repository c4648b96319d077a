"""Convolutions by FFT give the direct sum, forward and backward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.layers import Conv
from alexnet.models.modules import Conv2d
from alexnet.models.network import Network, create_model
from alexnet.models.zoo import ZOO
from alexnet.ops.fft_conv import MIN_BATCH, fft_conv2d, should_use_fft
from alexnet.runtime.device import autocast


def randn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(dtype)


def gradients(y: Tensor, grad_output: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(y, inputs, grad_output)


@pytest.mark.parametrize("padding", [(0, 0), (2, 3)])
@pytest.mark.parametrize("sides", [(11, 11), (12, 9), (9, 14)])
@pytest.mark.parametrize("kernel", [(5, 5), (9, 1), (4, 7)])
def test_in_float64_it_is_the_direct_sum(
    kernel: tuple[int, int], sides: tuple[int, int], padding: tuple[int, int]
) -> None:
    x, weight, bias = randn(3, 4, *sides), randn(5, 4, *kernel, seed=1), randn(5, seed=2)
    inputs = [t.requires_grad_() for t in (x, weight, bias)]
    found = fft_conv2d(*inputs, padding)
    expected = F.conv2d(*inputs, padding=padding)
    grad_output = randn(*expected.shape, seed=3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(
        gradients(found, grad_output, *inputs),
        gradients(expected, grad_output, *inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradcheck() -> None:
    x, weight = randn(2, 2, 6, 5).requires_grad_(), randn(2, 2, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda *a: fft_conv2d(*a, None, (1, 0)), (x, weight))


def test_one_gradient_alone() -> None:
    x, weight = randn(2, 2, 6, 6), randn(3, 2, 3, 3, seed=1).requires_grad_()
    grad_output = randn(2, 3, 4, 4, seed=2)
    (found,) = gradients(fft_conv2d(x, weight, None), grad_output, weight)
    (expected,) = gradients(F.conv2d(x, weight), grad_output, weight)
    torch.testing.assert_close(found, expected)


def notebook_conv2() -> tuple[Conv2d, Tensor]:
    """The tutorial's second convolution at a quarter of its width, and activations for it."""
    torch.manual_seed(0)
    layer = Conv2d(Conv("conv2", channels=64, kernel=11), 24)
    return layer, randn(MIN_BATCH, 24, 27, 27, dtype=torch.float32)


def test_in_float32_its_error_is_that_of_float32() -> None:
    layer, x = notebook_conv2()
    assert layer.bias is not None
    with torch.no_grad():
        found = fft_conv2d(x, layer.weight, layer.bias)
        exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double())
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found - exact).abs().max() < 2e-6 * exact.abs().max()


def test_under_autocast_it_sums_in_float32() -> None:
    layer, x = notebook_conv2()
    with autocast(x.device, "bf16"):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    grad_output = torch.ones_like(y)
    found = gradients(y, grad_output, layer.weight)[0]
    half = x.bfloat16().double()
    exact = F.conv2d(half, layer.weight.double(), layer.bias.double())  # type: ignore[union-attr]
    expected = gradients(exact, torch.ones_like(exact), layer.weight)[0]
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (y - exact).abs().max() < 2**-7 * exact.abs().max()  # the sum and the bias are rounded


def test_autocast_leaves_float64_alone() -> None:
    x, weight, bias = randn(2, 3, 9, 9), randn(4, 3, 5, 5, seed=1), randn(4, seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = fft_conv2d(x, weight, bias), F.conv2d(x, weight, bias)
    assert found.dtype == expected.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_which_layers_use_fft() -> None:
    layer, x = notebook_conv2()
    assert should_use_fft(layer, x)
    assert not should_use_fft(layer, x[:-1])
    assert not should_use_fft(Conv2d(Conv("c", channels=4, kernel=5), 24), x)
    assert not should_use_fft(Conv2d(Conv("c", channels=4, kernel=11, stride=4), 24), x)
    with torch.no_grad():
        assert not should_use_fft(layer, x)


def test_of_the_zoo_only_the_tutorials_net_uses_fft() -> None:
    """Its second convolution: the others' large kernels have strides."""

    def users(network: Network) -> list[str]:
        x = torch.empty(MIN_BATCH, 1)
        layers = network.named_children()
        return [n for n, m in layers if isinstance(m, nn.Conv2d) and should_use_fft(m, x)]

    found = {name: users(create_model(name, device="meta")) for name in ZOO}
    assert {name: layers for name, layers in found.items() if layers} == {
        "alexnet_notebook": ["conv2"]
    }
