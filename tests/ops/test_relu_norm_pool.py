"""ReLU, norm and pooling in one pass, forward and backward, are the three operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.ops.norms import response_norm
from alexnet.ops.relu_norm_pool import NO_NORM, Norm, can_use_one_pass, relu_norm_pool
from support.kernels import needs_kernels, randn, torch_threads, without_kernels

pytestmark = needs_kernels
NORMS = {
    "none": NO_NORM,
    "the paper's": Norm(5, 1e-4, 0.75, 2.0, 1),
    "strong, even, two groups": Norm(4, 0.3, 0.6, 1.0, 2),
    "wider than the channels": Norm(90, 0.3, 0.75, 1.0, 3),
}
WINDOWS = {
    "overlapping": (3, 2, (13, 11)),
    "adjacent": (2, 2, (9, 8)),
    "every pixel": (3, 1, (3, 6)),
    "far apart": (2, 5, (12, 9)),
    "one window": (6, 1, (6, 6)),
}


def images(dtype: torch.dtype, channels: int, size: tuple[int, int], groups: int = 1) -> Tensor:
    """Activations, some equal, some zero, some negative zero."""
    x = (randn(5, channels * groups, *size) * 3).to(dtype)
    x[1] = x[1].round()  # equal maxima in many windows
    x[2, 0] = -0.0
    x[2, 1] = 1.5
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def three_operations(x: Tensor, norm: Norm, window: int, stride: int) -> Tensor:
    """In float32, whose result is rounded once."""
    y = x.float().relu()
    if norm != NO_NORM:
        y = response_norm(y, *norm)
    return F.max_pool2d(y, window, stride)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("channels", [12, 72])
def test_values_and_gradients_are_those_of_the_three_operations(
    norm: Norm, window: tuple[int, int, tuple[int, int]], channels: int, dtype: torch.dtype
) -> None:
    side, stride, size = window
    x = images(dtype, channels, size)
    assert can_use_one_pass(x, norm, side)
    with torch_threads(3):
        found = relu_norm_pool(x, norm, side, stride)
        expected = three_operations(x, norm, side, stride)
        weights = randn(*found.shape, seed=1).to(dtype)
        (grad,) = torch.autograd.grad(found, x, weights)
        (expected_grad,) = torch.autograd.grad(expected, x, weights.float())
    assert found.dtype == grad.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected.to(dtype), rtol=1e-6, atol=0)
    tolerance = 1e-5 if dtype == torch.float32 else 2**-7
    torch.testing.assert_close(grad, expected_grad, rtol=tolerance, atol=1e-6)
    assert grad.any()
    assert not grad[(x <= 0)].any()


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_in_bf16_outputs_have_the_bits_of_the_three_operations(norm: Norm) -> None:
    x = images(torch.bfloat16, 12, (13, 11)).detach()
    y = x.relu() if norm == NO_NORM else response_norm(x.relu(), *norm)
    found = relu_norm_pool(x.requires_grad_(), norm, 3, 2)
    assert torch.equal(found, F.max_pool2d(y, 3, 2))


def test_in_bf16_a_gradient_goes_to_the_largest_value_before_rounding() -> None:
    """The norm of both values is rounded to the same one; the larger is the second."""
    x = torch.tensor([1.0078125, 1.015625]).bfloat16().view(1, 1, 1, 2).expand(1, 1, 2, 2)
    norm = Norm(1, 1.0, 0.5, 1.0, 1)  # x / sqrt(1 + x^2): .70985 and .71257
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    y = relu_norm_pool(x, norm, 2, 2)
    assert response_norm(x, *norm).unique().numel() == 1
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert grad.flatten().bool().tolist() == [False, True, False, False]


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_the_number_of_threads_changes_no_bit(norm: Norm) -> None:
    x = images(torch.bfloat16, 24, (11, 11))
    outcomes = []
    for threads in (1, 2, 7):
        with torch_threads(threads):
            y = relu_norm_pool(x, norm, 3, 2)
            outcomes.append((y, *torch.autograd.grad(y, x, torch.ones_like(y))))
    for y, grad in outcomes[1:]:
        assert torch.equal(y, outcomes[0][0])
        assert torch.equal(grad, outcomes[0][1])


def test_a_hook_may_store_tensors_in_another_order() -> None:
    x, norm = images(torch.float32, 12, (13, 11)), NORMS["the paper's"]
    (expected,) = torch.autograd.grad(relu_norm_pool(x, norm, 3, 2).sin().sum(), x)
    with torch.autograd.graph.saved_tensors_hooks(Tensor.contiguous, lambda stored: stored):
        found = relu_norm_pool(x, norm, 3, 2)
    assert torch.equal(torch.autograd.grad(found.sin().sum(), x)[0], expected)


def test_a_value_that_is_not_a_number_stays_one() -> None:
    x = images(torch.float32, 12, (7, 7)).detach()
    x[0, 3, 2, 2] = float("nan")
    x.requires_grad_()
    y = relu_norm_pool(x, NO_NORM, 3, 2)
    expected = three_operations(x, NO_NORM, 3, 2)
    assert y.isnan().any()
    assert torch.equal(y.isnan(), expected.isnan())
    found, grad = (torch.autograd.grad(out, x, torch.ones_like(out))[0] for out in (y, expected))
    assert torch.equal(found, grad)


def test_what_it_cannot_compute_is_left_to_torch() -> None:
    norm, x = NORMS["the paper's"], images(torch.float32, 12, (7, 7))
    assert can_use_one_pass(x, norm, 3)
    assert not can_use_one_pass(x.detach(), norm, 3), "nothing is trained"
    assert not can_use_one_pass(x, norm, 8), "smaller than the window"
    assert not can_use_one_pass(x, norm._replace(groups=5), 3)
    assert not can_use_one_pass(x.double(), norm, 3)
    assert not can_use_one_pass(x.contiguous(), norm, 3), "the next layer gets another layout"
    assert not can_use_one_pass(x[:0], norm, 3)
    assert not can_use_one_pass(images(torch.float32, 1025, (3, 3)), norm, 3)
    assert can_use_one_pass(images(torch.float32, 1025, (3, 3)), NO_NORM, 3)
    with torch.no_grad():
        assert not can_use_one_pass(x, norm, 3)
    with without_kernels():
        assert not can_use_one_pass(x, norm, 3)
