"""Batch norm, ReLU and pooling in one pass, forward and backward, are the three operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.batch_norm_relu_pool import batch_norm_relu_pool, can_normalize_in_one_pass
from alexnet.parallel.batch_norm import SyncBatchNorm2d
from support.kernels import needs_kernels, randn, torch_threads, without_kernels

pytestmark = needs_kernels
WINDOWS = {
    "none": (1, 1, (5, 7)),
    "overlapping": (3, 2, (13, 11)),
    "adjacent": (2, 2, (9, 8)),
    "far apart": (2, 5, (12, 9)),
    "one window": (6, 1, (6, 6)),
}
EPS = 1e-3


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """A norm with weights of both signs, one of them 0, and running statistics."""
    norm = nn.BatchNorm2d(channels, eps=EPS, momentum=0.3)
    with torch.no_grad():
        norm.weight.copy_(randn(channels, seed=2))
        norm.weight[0] = 0
        norm.bias.copy_(randn(channels, seed=3))
        assert norm.running_mean is not None
        norm.running_mean.copy_(randn(channels, seed=4))
    return norm


def images(dtype: torch.dtype, channels: int, size: tuple[int, int]) -> Tensor:
    """Activations whose channels have different means, one of them far from 0, one constant."""
    x = randn(5, channels, *size) * 3 + randn(channels, 1, 1, seed=1)
    x[1] = x[1].round()  # equal maxima in many windows
    x[:, 1] += 100
    x[:, 2] = 7
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    return x.requires_grad_()


def three_operations(x: Tensor, norm: nn.BatchNorm2d, window: int, stride: int) -> Tensor:
    """In float64, by torch."""
    return F.max_pool2d(norm.double()(x.double()).relu(), window, stride)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("channels", [12, 72])
def test_values_gradients_and_statistics_are_those_of_the_three_operations(
    window: tuple[int, int, tuple[int, int]], channels: int, dtype: torch.dtype
) -> None:
    side, stride, size = window
    x = images(dtype, channels, size)
    norm, other = batch_norm(channels), batch_norm(channels)
    assert can_normalize_in_one_pass(x, norm, side)
    with torch_threads(3):
        found = batch_norm_relu_pool(x, norm, side, stride)
        expected = three_operations(x, other, side, stride)
        weights = randn(*found.shape, seed=1).to(dtype)
        found.backward(weights)
        grad, x.grad = x.grad, None
        expected.backward(weights.double())
    assert grad is not None
    assert found.dtype == grad.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    rounding = 1e-5 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=2e-5)
    assert x.grad is not None
    scale = x.grad.double().abs().amax((0, 2, 3), keepdim=True)
    assert ((grad - x.grad).abs() <= 2 * rounding * scale + 1e-5).all()
    pairs = zip([*norm.parameters(), *norm.buffers()], [*other.parameters(), *other.buffers()],
                strict=True)  # fmt: skip
    for one, same in pairs:
        torch.testing.assert_close(one.double(), same.double(), rtol=1e-5, atol=1e-5)
        if one.grad is not None:
            assert same.grad is not None
            torch.testing.assert_close(one.grad.double(), same.grad, rtol=1e-4, atol=1e-3)
    assert int(norm.num_batches_tracked or 0) == 1
    assert grad.any()


@pytest.mark.parametrize("window", [(1, 1), (3, 2)])
def test_the_number_of_threads_changes_no_bit(window: tuple[int, int]) -> None:
    outcomes = []
    for threads in (1, 2, 7):
        norm, x = batch_norm(24), images(torch.bfloat16, 24, (11, 11))
        with torch_threads(threads):
            y = batch_norm_relu_pool(x, norm, *window)
            y.backward(torch.ones_like(y))
        assert x.grad is not None
        outcomes.append((y, x.grad, *(p.grad for p in norm.parameters()), *norm.buffers()))
    for outcome in outcomes[1:]:
        for found, expected in zip(outcome, outcomes[0], strict=True):
            assert found is not None
            assert expected is not None
            assert torch.equal(found, expected)


@pytest.mark.parametrize("window", [(1, 1), (3, 2)])
def test_a_hook_may_store_tensors_in_another_order(window: tuple[int, int]) -> None:
    x, norm = images(torch.float32, 12, (13, 11)), batch_norm(12)
    (expected,) = torch.autograd.grad(batch_norm_relu_pool(x, norm, *window).sin().sum(), x)
    with torch.autograd.graph.saved_tensors_hooks(Tensor.contiguous, lambda stored: stored):
        found = batch_norm_relu_pool(x, norm, *window)
    assert torch.equal(torch.autograd.grad(found.sin().sum(), x)[0], expected)


def test_a_value_that_is_not_a_number_reaches_its_whole_channel() -> None:
    x = images(torch.float32, 12, (7, 7)).detach()
    x[0, 3, 2, 2] = float("nan")
    x.requires_grad_()
    y = batch_norm_relu_pool(x, batch_norm(12), 3, 2)
    y.backward(torch.ones_like(y))
    assert x.grad is not None
    for tensor in (y, x.grad):
        is_nan = tensor.isnan()
        assert is_nan[:, 3].all()
        assert is_nan.sum() == is_nan[:, 3].numel()


def test_a_frozen_norm_gets_no_gradient() -> None:
    norm, x = batch_norm(12), images(torch.float32, 12, (7, 7))
    norm.requires_grad_(False)
    batch_norm_relu_pool(x, norm, 3, 2).sum().backward()
    assert x.grad is not None
    assert norm.weight.grad is None


def test_what_it_cannot_compute_is_left_to_torch() -> None:
    norm, x = batch_norm(12), images(torch.float32, 12, (7, 7))
    assert can_normalize_in_one_pass(x, norm, 3)
    assert can_normalize_in_one_pass(x, norm, 1)
    assert not can_normalize_in_one_pass(x.detach(), norm, 3), "nothing is trained"
    assert not can_normalize_in_one_pass(x, norm, 8), "smaller than the window"
    assert not can_normalize_in_one_pass(x.double(), norm, 3)
    assert not can_normalize_in_one_pass(x.contiguous(), norm, 3)
    assert not can_normalize_in_one_pass(images(torch.float32, 12, (7, 7))[:1, :, :1, :1], norm, 1)
    assert not can_normalize_in_one_pass(x, batch_norm(12).eval(), 3)
    assert not can_normalize_in_one_pass(x, nn.BatchNorm2d(12, affine=False), 3)
    assert not can_normalize_in_one_pass(x, nn.BatchNorm2d(12, track_running_stats=False), 3)
    assert not can_normalize_in_one_pass(x, nn.BatchNorm2d(12, momentum=None), 3)
    assert not can_normalize_in_one_pass(x, SyncBatchNorm2d(12), 3), (
        "its statistics are of others, too"
    )
    with without_kernels():
        assert not can_normalize_in_one_pass(x, norm, 3)
