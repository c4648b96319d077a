"""The norm within each channel by the C kernel, beside torch in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alexnet.ops.norms import within_channel_lrn
from support.kernels import needs_kernels, torch_threads, without_kernels

pytestmark = needs_kernels
NET_145 = (5, 1e-3 / 25, 0.75, 1.0)
CONSTANTS = [NET_145, (3, 0.3, 0.6, 0.5), (1, 0.1, 1.0, 2.0), (15, 1e-3, 0.75, 1.0)]


def randn(*shape: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def norm_and_gradient(
    x: Tensor, g: Tensor, constants: tuple[int, float, float, float]
) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = within_channel_lrn(x, *constants)
    y.backward(g)
    assert x.grad is not None
    return y.detach(), x.grad


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("channels", [1, 16, 33, 72])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_norm_and_gradient_are_exact(
    constants: tuple[int, float, float, float], channels: int, memory_format: torch.memory_format
) -> None:
    x = randn(3, channels, 5, 8).contiguous(memory_format=memory_format)
    g = randn(3, channels, 5, 8, seed=1, scale=1.0)
    y, grad = norm_and_gradient(x, g, constants)
    expected, expected_grad = norm_and_gradient(x.double(), g.double(), constants)
    assert y.dtype == torch.float32
    assert y.stride() == x.stride()
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(grad.double(), expected_grad, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_types_are_the_float32_result_rounded_once(dtype: torch.dtype) -> None:
    """Values above 256, whose squares are beyond fp16, too."""
    x, g = (10 * randn(2, 40, 6, 6)).to(dtype), randn(2, 40, 6, 6, seed=1).to(dtype)
    assert x.abs().max() > 1000
    found = norm_and_gradient(x, g, NET_145)
    expected = norm_and_gradient(x.float(), g.float(), NET_145)
    if dtype == torch.bfloat16:  # by the same kernel
        assert all(torch.equal(a, b.bfloat16()) for a, b in zip(found, expected, strict=True))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.float(), other, rtol=2**-8, atol=1e-6)


def test_training_saves_the_input_alone() -> None:
    x = randn(2, 16, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        within_channel_lrn(x)
    assert len(saved) == 1
    assert saved[0] is x
    with without_kernels(), torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        within_channel_lrn(x)
    assert len(saved) > 2


def test_values_that_are_not_finite_stay_so() -> None:
    x = torch.ones(1, 1, 7, 7)
    x[..., 0, 0], x[..., 6, 6] = torch.nan, torch.inf
    y = within_channel_lrn(x, 3)[0, 0]
    assert y.isnan()[:2, :2].all()
    assert y[6, 6].isnan()
    assert (y[5:, 5:].flatten()[:3] == 0).all()  # beside the infinite square
    assert y[2:5, 2:5].isfinite().all()


def test_threads_change_no_bit() -> None:
    x, g = randn(3, 96, 11, 11), randn(3, 96, 11, 11, seed=1)
    results = []
    for threads in (1, 2, 3):
        with torch_threads(threads):
            results.append(norm_and_gradient(x, g, NET_145))
    assert all(torch.equal(a, b) for one in results for a, b in zip(one, results[0], strict=True))


def test_a_compiled_norm_is_torchs() -> None:
    x = randn(2, 16, 6, 6)
    exported = torch.export.export(Within(), (x,)).module()
    torch.testing.assert_close(exported(x), within_channel_lrn(x))


class Within(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return within_channel_lrn(x)
