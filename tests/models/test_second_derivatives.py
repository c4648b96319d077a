"""Gradient penalties and Hessian-vector products of whole networks, by kernels and without."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.models.modules import Dropout, allow_bf16_gradients
from alexnet.models.network import Network, channels_last
from alexnet.ops.library import load_kernels
from support.kernels import needs_kernels, randn, without_kernels
from support.narrow_nets import narrow_classifier


def second_gradients(network: Network, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Of a gradient penalty, and of a product of gradients with random vectors."""
    images = randn(3, *network.architecture.input).contiguous(memory_format=torch.channels_last)
    parameters = list(network.parameters())
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = F.cross_entropy(network(images), torch.tensor([0, 3, 5]))
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    penalty = torch.stack([g.double().square().sum() for g in gradients]).sum()
    product = torch.stack(
        [(g * randn(*g.shape, seed=i)).double().sum() for i, g in enumerate(gradients)]
    ).sum()
    first = torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(product, parameters, allow_unused=True)
    return ([torch.zeros(()) if g is None else g for g in found] for found in (first, second))  # type: ignore[return-value]


def distance(found: list[Tensor], expected: list[Tensor]) -> float:
    """Relative to the length of the expected vector of all parameters."""
    pairs = list(zip(found, expected, strict=True))
    error = sum(float((a.double() - b).square().sum()) for a, b in pairs)
    return float((error / sum(float(b.double().square().sum()) for _, b in pairs)) ** 0.5)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["alexnet", "alexnet_owt", "alexnet_bn"])
def test_second_derivatives_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    network = channels_last(narrow_classifier(name).network).train()
    for layer in network.modules():
        if isinstance(layer, Dropout):
            layer.p = 0.0
    assert load_kernels() is not None
    allow_bf16_gradients(network, allowed=dtype == torch.bfloat16)
    found = second_gradients(network, dtype)
    with without_kernels():
        assert load_kernels() is None
        expected = second_gradients(network, dtype)
    for ours, wanted in zip(found, expected, strict=True):
        assert sum(bool(gradient.any()) for gradient in wanted) > len(wanted) / 2
        assert distance(ours, wanted) < (1e-4 if dtype == torch.float32 else 0.25)
