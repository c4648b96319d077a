"""The moving average of the weights: by hand, as the model of a run, and resumed to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alexnet.config.recipe import Recipe
from alexnet.models.network import Network, create_model
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture
from alexnet.training.run_folder import RunFolder
from alexnet.training.weight_average import WeightAverage
from support.runs import cut_off, is_same_run, resume, train


def test_the_average_by_hand() -> None:
    """The decay is 2/11, 3/12, 4/13, .. until it reaches the one that was asked for."""
    network = create_model("lenet5")
    average = WeightAverage(network, decay=0.25)
    weight, own = network.get_parameter("fc5.bias"), average.network.get_parameter("fc5.bias")
    expected = 1.0
    with torch.no_grad():
        own.fill_(1.0)
        for step, decay in enumerate((2 / 11, 3 / 12, 0.25, 0.25)):
            weight.fill_(10.0 * step)
            average.update(network, step)
            expected = decay * expected + (1 - decay) * 10 * step
            assert own[0].item() == pytest.approx(expected, rel=1e-6)
    assert not own.requires_grad


def test_statistics_are_averaged_and_counts_are_copied() -> None:
    network = Network(variant(architecture("alexnet_bn"), ModelOptions(width=0.05, input_size=67)))
    average = WeightAverage(network, decay=0.5)
    network.get_buffer("bn1.running_mean").fill_(1.0)
    network.get_buffer("bn1.num_batches_tracked").fill_(7)
    average.update(network, step=100)
    assert average.network.get_buffer("bn1.running_mean")[0] == 0.5
    assert average.network.get_buffer("bn1.num_batches_tracked") == 7


@pytest.fixture
def averaging(small: Recipe) -> Recipe:
    return replace(small, optimizer=replace(small.optimizer, ema=0.9))


@pytest.mark.slow
@pytest.mark.usefixtures("small_place")
def test_a_run_with_an_average_resumes_to_the_same_bits(
    averaging: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    whole = train(averaging, out=tmp_path / "whole").folder
    cut_off(averaging, tmp_path / "cut", 7)
    assert is_same_run(resume(tmp_path / "cut").folder, whole)
    averaged, plain = load_file(whole.last), load_file(small_whole.last)
    assert averaged.keys() == plain.keys()
    assert not any(torch.equal(averaged[name], plain[name]) for name in plain)
    assert all(torch.allclose(averaged[name], plain[name], atol=0.1) for name in plain)
