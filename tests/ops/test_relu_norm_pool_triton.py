"""ReLU, norm and pooling on a GPU in one pass, beside float64."""

from __future__ import annotations

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
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
    x = torch.ones(1, 8, 16384, 16640, dtype=torch.bfloat16, device="cuda").requires_grad_()
    x = x.contiguous(memory_format=torch.channels_last)
    assert x.numel() > 2**31
    last = relu_norm_pool(x, NORMS["the paper's"], 2, 2)[0, :, -1, -4:]
    part = x[:, :, -2:, -8:].contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, relu_norm_pool(part, NORMS["the paper's"], 2, 2)[0, :, 0])


def test_a_network_has_the_gradients_of_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for is_one_pass in (True, False):
        torch.manual_seed(0)
        network = create_model("alexnet", num_classes=5, dropout=0.0, device="cuda")
        monkeypatch.setattr("alexnet.ops.relu_norm_pool.ON_GPUS", is_one_pass)
        network(randn(4, 3, 227, 227)).square().sum().backward()
        gradients.append(network.conv1.weight.grad.clone())
    difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert difference < 1e-3
