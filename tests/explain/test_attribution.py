"""What captum computes, against values by hand, and that gradients of our layers are right."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.explain import attribution
from alexnet.explain.feature_layers import on_input
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected, Pool
from alexnet.models.network import Network
from support.narrow_nets import narrow_classifier
from support.slow import first_fast

TINY = Architecture(
    "tiny",
    "two channels of one pixel: x and -x + 1, rectified",
    (1, 2, 2),
    (
        Conv("conv1", 2, 1),
        Activation("relu1"),
        Flatten("flatten"),
        FullyConnected("fc2", 2),
    ),
)
X = torch.tensor([[[[2.0, 0.5], [3.0, 0.0]]]])
WEIGHT = torch.tensor([[4.0, 0.0, 2.0, 2.0, -1.0, 3.0, 1.0, 1.0], [0.0] * 8])
GRAY = torch.zeros(1, 1, 2, 2)


def tiny_network() -> Network:
    """Logit 0 is WEIGHT[0] @ [relu(x), relu(1 - x)], logit 1 is 0."""
    network = Network(TINY)
    network.load_state_dict(
        {
            "conv1.weight": torch.tensor([1.0, -1.0]).view(2, 1, 1, 1),
            "conv1.bias": torch.tensor([0.0, 1.0]),
            "fc2.weight": WEIGHT,
            "fc2.bias": torch.zeros(2),
        }
    )
    return network


def test_grad_cam() -> None:
    """Channels relu(x) and relu(1 - x), by their mean weights 2 and 1: 2 * 2, 2 * .5 + .5, .."""
    found = attribution.grad_cam(tiny_network(), X, 0, "relu1")
    np.testing.assert_allclose(found, [[4.0, 1.5], [6.0, 1.0]], rtol=1e-6)
    assert not attribution.grad_cam(tiny_network(), X, 1, "relu1").any()


def test_float32_is_not_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which torch allows a GPU's convolutions by default."""
    seen: list[str] = []

    def watch(device: torch.device) -> AbstractContextManager[None]:
        seen.append(device.type)
        return nullcontext()

    monkeypatch.setattr(attribution, "exact_float32", watch)
    attribution.grad_cam(tiny_network(), X, 0, "relu1")
    assert seen == ["cpu"]


def test_integrated_gradients() -> None:
    """Each pixel's own part of the logit: w relu(x) + v relu(1 - x) - v relu(1 - 0)."""
    found, gap = attribution.integrated_gradients(tiny_network(), X, 0, GRAY, steps=500)
    expected = [[4 * 2 - -1 * 1, 0 * 0.5 + 3 * 0.5 - 3], [2 * 3 - 1, 0]]
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert abs(gap) < 0.02


def test_occlusion() -> None:
    """The probability without a pixel, from the logit without it, at temperature 2."""
    found = attribution.occlusion(tiny_network(), X, 0, GRAY, window=1, temperature=2.0)

    def probability(x: Tensor) -> float:
        parts = torch.cat([x.relu().flatten(), (1 - x).relu().flatten()])
        return 1 / (1 + math.exp(-float(WEIGHT[0] @ parts) / 2))

    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        covered = X.clone()
        covered[0, 0, row, column] = 0
        assert found[row, column] == pytest.approx(probability(X) - probability(covered), abs=1e-6)


def test_guided_backprop() -> None:
    """Only positive gradients pass a ReLU that is on: w where x > 0, and v where 1 - x > 0."""
    found = attribution.guided_backprop(tiny_network(), X, 0)
    np.testing.assert_allclose(found, [[4.0, 3.0], [2.0, 1.0]])


def test_the_network_is_as_before() -> None:
    network = tiny_network().train()
    attribution.guided_backprop(network, X, 0)
    assert network.training
    assert network.relu1.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.relu1._backward_hooks
    assert not network.relu1._forward_pre_hooks


@pytest.mark.parametrize("name", first_fast(["lenet5", "alexnet", "alexnet_2012", "alexnet_bn"]))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """Integrated gradients add up to the difference of the logits, in nets of all layer types."""
    network = narrow_classifier(name).network
    torch.manual_seed(1)
    x = torch.randn(1, *network.architecture.input)
    gray = torch.zeros_like(x)
    found, gap = attribution.integrated_gradients(network, x, 3, gray, steps=32)
    with torch.no_grad():
        difference = float((network(x) - network(gray))[0, 3])
    assert found.sum() == pytest.approx(difference + gap, rel=1e-3)
    assert abs(gap) < 0.05 * np.abs(found).sum()


def test_maps_lie_on_the_middles_of_the_receptive_fields() -> None:
    """One bright output of a pooling of 3 with stride 2 is brightest at the middle of its field."""
    arch = Architecture("pooled", "", (1, 9, 9), (Pool("pool1", 3, 2), Flatten("flatten")))
    values = np.zeros((4, 4))
    values[1, 2] = 1
    found = on_input(values, arch, "pool1")
    assert found.shape == (9, 9)
    assert np.unravel_index(found.argmax(), found.shape) == (3, 5)
    assert found[3, 4] == found[2, 5] == 0.5
    assert found[0, 0] == found[3, 7] == 0
