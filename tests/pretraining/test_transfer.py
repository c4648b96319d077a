"""The classifier's layers against the RBMs that they were converted from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from alexnet.pretraining.channel_stats import measure_stats
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.stack import encode_through
from alexnet.pretraining.stages import Stage, find_stages, truncate
from alexnet.pretraining.transfer import decorrelate, transfer
from alexnet.runtime import device
from support import no_float64
from support.no_float64 import LimitedDevice, LimitedTensor
from support.pretraining import seeded, smooth_images, tiny_arch, train_rbms
from support.slow import first_fast


def convert(arch: Architecture, x: Tensor, layers: Sequence[RbmLayer]) -> Network:
    """The network with the weights of the RBMs, measured on two batches."""
    network = Network(truncate(arch, find_stages(arch, ""))).eval()
    for index, layer in enumerate(layers):
        transfer(layer, layers[:index], network, [x[:5], x[5:]])
    return network


def preactivation(network: Network, stage: Stage, x: Tensor) -> Tensor:
    """The output of the stage's convolution, or of the batch norm directly after it."""
    last = stage.layers[1].layer if stage.conv_norm else stage.conv
    return network.intermediate_outputs(x)[last.name]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_bn", "alexnet_notebook"])
def test_the_first_sigmoid_layer_computes_the_hidden_input_of_the_rbm(name: str) -> None:
    """W' u + b' = W (u / s) + b for every image, with b' in the batch norm where there is one."""
    arch = variant(tiny_arch(name), ModelOptions(activation="sigmoid"))
    x = 20 * smooth_images(arch)
    layers = train_rbms(arch, x, 5, up_to="conv1")
    network, layer = convert(arch, x, layers), layers[0]
    with torch.no_grad():
        expected = layer.rbm.hidden_input(layer.visible_input(x))
        torch.testing.assert_close(
            preactivation(network, layer.stage, x), expected, rtol=1e-4, atol=1e-4
        )
        weight = network.get_parameter("conv1.weight") * layer.scale
    torch.testing.assert_close(weight, layer.rbm.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", first_fast(ZOO, fast=3))
def test_every_channel_of_a_relu_layer_is_live_and_standardized(name: str) -> None:
    """Mean 0, standard deviation 1, positive often.

    The RBM's own biases would leave it positive at its sparsity target of 5 % of the positions.
    """
    arch = tiny_arch(name)
    if name == "lenet5":
        arch = variant(arch, ModelOptions(activation="relu"))
    x = 20 * smooth_images(arch)
    layers = train_rbms(arch, x, 3)
    network = convert(arch, x, layers)
    for layer in layers:
        with torch.no_grad():
            y = preactivation(network, layer.stage, x)
        stats, is_live = measure_stats([y]), (y > 0).float().mean((0, 2, 3))
        torch.testing.assert_close(stats.std, torch.ones_like(stats.std), rtol=1e-3, atol=0)
        torch.testing.assert_close(stats.mean, torch.zeros_like(stats.mean), rtol=0, atol=1e-3)
        assert is_live.min() > 0.2
        assert is_live.max() < 0.8


def test_near_duplicates_of_a_filter_get_uncorrelated_outputs() -> None:
    """Each stays the nearest of the new filters to its old one, and groups do not mix."""
    shared = torch.randn(2, 1, 4, 3, 3, generator=seeded(0))
    own = torch.randn(2, 3, 4, 3, 3, generator=seeded(1))
    weight = (shared + 0.3 * own).flatten(0, 1)
    x = torch.randn(200, 8, 5, 5, generator=seeded(2))

    def outputs(weight: Tensor) -> Tensor:
        return nn.functional.conv2d(x, weight, groups=2)

    def correlations(weight: Tensor) -> Tensor:
        return torch.corrcoef(outputs(weight).transpose(0, 1).flatten(1)).abs()

    within = [correlations(weight)[i, j] for i, j in ((0, 1), (1, 2), (3, 5))]
    assert min(within) > 0.8
    new = decorrelate(weight, [outputs(weight)[:50], outputs(weight)[50:]], 2)
    assert correlations(new).fill_diagonal_(0).max() < 0.15
    for group in (slice(0, 3), slice(3, 6)):
        cosine = nn.functional.cosine_similarity(
            new[group].flatten(1)[:, None], weight[group].flatten(1)[None], dim=2
        )
        assert cosine.argmax(0).tolist() == [0, 1, 2]


def test_a_tanh_layer_computes_the_probabilities_of_the_rbm() -> None:
    """tanh(x / 2) = 2 sigmoid(x) - 1."""
    arch = tiny_arch("lenet5")
    x = smooth_images(arch)
    layers = train_rbms(arch, x, 5, up_to="conv1")
    with torch.no_grad():
        p = layers[0].rbm.hidden_probs(layers[0].visible_input(x))
        tanh = convert(arch, x, layers).intermediate_outputs(x)["tanh1"]
    torch.testing.assert_close(tanh, 2 * p - 1, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("name", first_fast(["alexnet_bn", "alexnet", "cifar_quick"]))
def test_other_layers_get_the_mean_and_std_of_the_rbm(
    name: str, activation: Literal["sigmoid", "tanh"]
) -> None:
    arch = variant(tiny_arch(name), ModelOptions(activation=activation))
    x = 20 * smooth_images(arch)
    layers = train_rbms(arch, x, 3)
    network = convert(arch, x, layers)
    for index, layer in enumerate(layers):
        with torch.no_grad():
            v = layer.visible_input(encode_through(layers[:index], x))
            target = measure_stats([layer.rbm.hidden_input(v)])
            stats = measure_stats([preactivation(network, layer.stage, x)])
        factor = 0.5 if activation == "tanh" else 1
        torch.testing.assert_close(stats.mean, factor * target.mean, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(stats.std, factor * target.std, rtol=0.02, atol=1e-5)


def test_another_batch_norm_gets_the_running_statistics_of_its_input() -> None:
    arch = tiny_arch("alexnet_notebook")
    x = smooth_images(arch)
    network = convert(arch, x, train_rbms(arch, x, 3, up_to="conv2"))
    for name in ("bn1", "bn2"):
        norm = network.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        stats = measure_stats([network.eval().input_of(name, x)])
        torch.testing.assert_close(norm.running_mean, stats.mean)
        assert norm.weight.unique().tolist() == [1]


def test_decorrelation_on_a_device_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(4, 2, 3, 3, generator=seeded(0))
    outputs = [torch.randn(5, 4, 6, 6, generator=seeded(seed)) for seed in (1, 2)]
    expected = decorrelate(weight, outputs, 2)
    monkeypatch.setattr(device, "has_float64", lambda where: where != no_float64.DEVICE)
    with LimitedDevice():
        found = decorrelate(LimitedTensor(weight), [LimitedTensor(y) for y in outputs], 2)
        assert isinstance(found, LimitedTensor)
        assert torch.equal(found.cpu(), expected)
