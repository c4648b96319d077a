"""The auto-encoder of a stage: by hand, while it learns, and as the classifier's own layers."""

from __future__ import annotations

import pytest
import torch

from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected, Pool
from alexnet.models.network import Network
from alexnet.models.zoo import ZOO
from alexnet.pretraining.autoencoder import Autoencoder, corrupt
from alexnet.pretraining.channel_stats import ChannelStats, mean_squared_error, measure_stats
from alexnet.pretraining.stages import find_stages, truncate
from support.pretraining import (
    AUTOENCODER,
    first_autoencoder,
    fit,
    noise,
    seeded,
    smooth_images,
    tiny_arch,
)
from support.slow import first_fast


def test_masking_sets_a_fraction_to_zero_and_keeps_the_mean() -> None:
    x = torch.full((4, 3, 50, 50), 2.0)
    corrupted = corrupt(x, 0.25, noise(len(x)))
    assert corrupted.unique().tolist() == pytest.approx([0, 2 / 0.75])
    assert (corrupted == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert corrupted.mean().item() == pytest.approx(2, abs=0.03)
    assert torch.equal(corrupted, corrupt(x, 0.25, noise(len(x))))
    assert corrupt(x, 0.0, noise(len(x))) is x


def test_an_autoencoder_by_hand() -> None:
    """One 1 x 1 filter of 2, inputs divided by 4: code relu(2 x / 4), output 4 (2 h + c)."""
    layers = (
        Conv("conv1", 1, 1), Activation("relu1"), Pool("pool1", 2, 2), Flatten("flatten"),
        FullyConnected("fc2", 3),
    )  # fmt: skip
    stage = find_stages(Architecture("one", "here", (1, 2, 2), layers), "")[0]
    stats = ChannelStats(torch.tensor([8.0]), torch.tensor([4.0]))
    layer = Autoencoder(stage, stats, AUTOENCODER, seeded()).eval()
    assert (layer.scale.item(), layer.decoder_bias.item()) == (4, 2)
    with torch.no_grad():
        layer.conv.weight.fill_(2)
        code = layer.encode(torch.tensor([[[[1.0, 6], [-3, 4]]]]))
        assert code.activations.tolist() == [[[[3]]]]
        assert layer.decode(code).tolist() == [[[[8, 4 * (2 * 3 + 2)], [8, 8]]]]
    assert layer.activation_rate(torch.tensor([[[[1.0, 6], [-3, 4]]]])).item() == 1
    assert layer.export_weights()["conv1.weight"].item() == 0.5


@pytest.mark.parametrize("name", first_fast(["alexnet", "alexnet_bn", "lenet5"]))
def test_the_reconstruction_error_falls(name: str) -> None:
    arch = tiny_arch(name)
    x = smooth_images(arch)
    layer = first_autoencoder(arch, x)
    errors = fit(layer, x, 40)
    assert errors[-1] < 0.75 * errors[0]
    assert mean_squared_error(*layer.reconstruct(x)).item() < 0.75


@pytest.mark.parametrize("name", first_fast(ZOO, fast=3))
def test_the_exported_stack_computes_the_same_codes_in_the_classifier(name: str) -> None:
    """The auto-encoder divides its inputs; the classifier does not."""
    arch = tiny_arch(name)
    stages = find_stages(arch, "")
    x, layers = 3 * smooth_images(arch), list[Autoencoder]()
    network = Network(truncate(arch, stages)).eval()
    inputs = x
    for index, stage in enumerate(stages):
        layer = Autoencoder(stage, measure_stats([inputs]), AUTOENCODER, seeded(index))
        fit(layer, inputs, 3)
        network.load_state_dict(layer.export_weights(), strict=False)
        with torch.no_grad():
            code = layer.encode(inputs)
            assert layer.decode(code).shape[:2] == inputs.shape[:2]
        inputs = code.activations
        layers.append(layer)
        activations = network.intermediate_outputs(x)[stage.last]
        tolerance = 1e-4 * float(inputs.abs().max())
        torch.testing.assert_close(activations, inputs, rtol=1e-4, atol=tolerance)
    exported = {key for layer in layers for key in layer.export_weights()}
    assert exported == set(network.state_dict())
