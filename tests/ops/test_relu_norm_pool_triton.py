"""ReLU, norm and pooling on a GPU in one pass, beside float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.models.network import create_model
from alexnet.ops.norms import reference_norm
from alexnet.ops.relu_norm_pool import NO_NORM, Norm, can_use_one_pass, relu_norm_pool

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]
NORMS = {
    "none": NO_NORM,
    "the paper's": Norm(5, 1e-4, 0.75, 2.0, 1),
    "strong, even, two groups": Norm(4, 0.3, 0.6, 1.0, 2),
}


@pytest.fixture(autouse=True)
def on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.ops.relu_norm_pool.ON_GPUS", True)


def randn(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator("cuda").manual_seed(seed), device="cuda")
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("pooling", [(3, 2), (2, 2), (3, 1), (2, 5)])
def test_values_and_gradients_are_those_of_the_three_operations(
    norm: Norm, pooling: tuple[int, int], dtype: torch.dtype
) -> None:
    x = (3 * randn(4, 24, 13, 11)).to(dtype).requires_grad_()
    assert can_use_one_pass(x, norm, pooling[0])
    found = relu_norm_pool(x, norm, *pooling)
    weights = randn(*found.shape, seed=1).to(dtype)
    (grad,) = torch.autograd.grad(found, x, weights)
    wide = x.detach().double().requires_grad_()
    y = wide.relu() if norm == NO_NORM else reference_norm(wide.relu(), *norm)
    expected = F.max_pool2d(y, *pooling)
    assert found.dtype == grad.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    is_wide = dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=2e-6 if is_wide else 2**-8, atol=1e-5)
    if is_wide or norm == NO_NORM:  # rounded values can be equal where the others are not
        (expected_grad,) = torch.autograd.grad(expected, wide, weights.double())
        tolerance = 1e-5 if is_wide else 2**-7
        torch.testing.assert_close(grad.double(), expected_grad, rtol=tolerance, atol=1e-5)


def test_activations_of_more_than_two_billion_values() -> None:
    """Values and gradients of the last two lines are those of an image of these lines alone."""
    x = torch.ones(1, 8, 16384, 16640, dtype=torch.bfloat16, device="cuda")
    x = x.contiguous(memory_format=torch.channels_last)
    x[:, :, -2:] = randn(1, 8, 2, 16640).bfloat16()
    assert x.numel() > 2**31
    part = x[:, :, -2:].clone(memory_format=torch.channels_last).requires_grad_()
    x.requires_grad_()
    found, expected = (relu_norm_pool(one, NORMS["the paper's"], 2, 2) for one in (x, part))
    assert torch.equal(found[:, :, -1:], expected)
    weights = randn(*expected.shape, seed=1).bfloat16()
    found[:, :, -1:].backward(weights)
    expected.backward(weights)
    assert x.grad is not None
    assert part.grad is not None
    assert part.grad.any()
    assert torch.equal(x.grad[:, :, -2:], part.grad)


def test_a_batch_norm_net_trains_beside_it() -> None:
    """Batch norm in one pass is for CPUs, and asks the same question."""
    network = create_model("alexnet_bn", num_classes=5, width=0.25, input_size=128, device="cuda")
    network(randn(4, 3, 128, 128)).square().sum().backward()
    assert network.conv1.weight.grad.isfinite().all()


def test_a_network_has_the_gradients_of_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from alexnet.ops import relu_norm_pool_triton

    gradients, calls, forward = [], [], relu_norm_pool_triton.forward

    def counted(*arguments: Any) -> tuple[Tensor, Tensor]:
        calls.append(arguments)
        return forward(*arguments)

    monkeypatch.setattr(relu_norm_pool_triton, "forward", counted)
    for is_one_pass in (True, False):
        torch.manual_seed(0)
        network = create_model("alexnet", num_classes=5, dropout=0.0, device="cuda")
        monkeypatch.setattr("alexnet.ops.relu_norm_pool.ON_GPUS", is_one_pass)
        network(randn(4, 3, 227, 227)).square().sum().backward()
        gradients.append(network.conv1.weight.grad.clone())
        assert len(calls) == 3  # conv1, conv2 and conv5, the first time
    difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert difference < 1e-3
