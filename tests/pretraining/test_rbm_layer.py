"""The RBM of a stage: initial biases, codes, and what it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

from alexnet.pretraining.channel_stats import ChannelStats, mean_squared_error
from alexnet.pretraining.decoding import spatial_size
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.stages import find_stages
from support.pretraining import RBM, first_rbm, fit, seeded, smooth_images, tiny_arch
from support.slow import first_fast


def test_initial_biases_follow_hinton() -> None:
    first, second = find_stages(tiny_arch("alexnet"), "")[:2]
    stats = ChannelStats(torch.tensor([1.0, 0, -1]), torch.full((3,), 4.0))
    layer = RbmLayer(first, stats, RBM, seeded(), first=True)
    assert layer.scale.item() == 4 * RBM.visible_std
    assert layer.rbm.visible_bias.tolist() == [0.5, 0, -0.5]
    assert layer.rbm.hidden_bias[0].item() == pytest.approx(math.log(0.05 / 0.95))
    assert layer.rbm.block == 2
    probs = ChannelStats(torch.full((second.in_channels,), 0.25), torch.ones(second.in_channels))
    layer = RbmLayer(second, probs, replace(RBM, sparsity_cost=0), seeded(), first=False)
    assert layer.rbm.visible_bias[0].item() == pytest.approx(math.log(0.25 / 0.75))
    assert layer.rbm.hidden_bias[0].item() == 0
    assert not layer.rbm.is_gaussian


@pytest.mark.parametrize("hidden_pooling", ["probabilistic", "none"])
def test_the_input_of_the_next_rbm(hidden_pooling: Literal["probabilistic", "none"]) -> None:
    """The probability that a block is on, or the pooled hidden probabilities."""
    arch = tiny_arch("alexnet")
    x = smooth_images(arch)
    layer = first_rbm(arch, x, replace(RBM, hidden_pooling=hidden_pooling))
    with torch.no_grad():
        layer.rbm.weight.normal_(0, 0.2, generator=seeded())
        code, p = layer.encode(x), layer.rbm.hidden_probs(layer.visible_input(x))
        decoded = layer.decode(code)
    if hidden_pooling == "probabilistic":
        torch.testing.assert_close(code.activations[:, :, 0, 0], p[:, :, :2, :2].sum((2, 3)))
        halved = tuple(-(-side // 2) for side in spatial_size(p))
        assert spatial_size(code.activations) == halved
        unpooled = layer.rbm.visible_mean(p, code.input_size) * layer.scale
        torch.testing.assert_close(decoded, unpooled)  # pooling in blocks loses nothing
    else:
        torch.testing.assert_close(code.activations[:, :, 0, 0], p[:, :, :3, :3].amax((2, 3)))
    assert code.activations.max() <= 1
    assert decoded.shape == layer.visible_input(x).shape


@pytest.mark.parametrize("name", first_fast(["lenet5", "alexnet"]))
def test_the_reconstruction_error_falls(name: str) -> None:
    """alexnet: blocks of 2 x 2, stride 4; lenet5: independent units, stride 1."""
    arch = tiny_arch(name)
    x = smooth_images(arch, 4)
    layer = first_rbm(arch, x)
    errors = fit(layer, x, 40)
    assert errors[-1] < 0.6 * errors[0]
    assert mean_squared_error(*layer.reconstruct(x)).item() < 0.6


def test_sparsity_reaches_its_target() -> None:
    """From hidden biases of 0, which make every unit active half of the time."""
    arch = tiny_arch("lenet5")
    x = smooth_images(arch, 2)
    layer = first_rbm(arch, x, replace(RBM, sparsity_target=0.1, visible_std=3.0))
    torch.nn.init.zeros_(layer.rbm.hidden_bias)
    assert layer.activation_rate(x).item() == pytest.approx(0.5, abs=0.01)
    fit(layer, x, 60)
    assert layer.activation_rate(x).item() == pytest.approx(0.1, abs=0.02)


def test_the_learning_rate_is_that_of_the_visible_units() -> None:
    first, second = find_stages(tiny_arch("alexnet"), "")[:2]
    recipe = replace(RBM, gaussian_lr=0.25, binary_lr=0.5)
    for stage, lr in ((first, 0.25), (second, 0.5)):
        stats = ChannelStats(torch.full((stage.in_channels,), 0.5), torch.ones(stage.in_channels))
        layer = RbmLayer(stage, stats, recipe, seeded(), first=stage is first)
        weights, biases = layer.build_optimizer().param_groups
        assert weights["lr"] == biases["lr"] == lr
        assert (weights["weight_decay"], biases["weight_decay"]) == (recipe.weight_decay, 0)
