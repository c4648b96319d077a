"""A layer in its stack: what it learns, what it hands up, and what it gives the classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.models.architecture import Architecture, smallest_input
from alexnet.models.layers import Activation, BatchNorm, Conv, Flatten, FullyConnected, Pool
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from alexnet.pretraining.autoencoder import Autoencoder, corrupt
from alexnet.pretraining.decoding import hidden_and_input
from alexnet.pretraining.moments import Moments, moments, squared_error
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import AutoencoderRecipe, RbmRecipe
from alexnet.pretraining.stages import Stage, check_hidden_biases, find_stages, truncated
from alexnet.pretraining.transfer import before, transfer, up, upper_quantile

RBM, AUTOENCODER = RbmRecipe(), AutoencoderRecipe()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def narrow(name: str) -> Architecture:
    """A net of the zoo, thin and on the smallest pictures it takes."""
    table = variant(architecture(name), ModelOptions(width=0.05))
    side = max(32, smallest_input(table.layers, table.input[0]))
    return variant(table, ModelOptions(input_size=side))


def pictures(table: Architecture, count: int = 8) -> Tensor:
    """Smooth random inputs of unit deviation: [count, C, H, W]."""
    c, h, w = table.input
    rough = torch.randn(count, c, h // 8 + 1, w // 8 + 1, generator=generator(7))
    maps = nn.functional.interpolate(rough, size=(h, w), mode="bilinear")
    return maps / maps.std()


def learnt(layer: Autoencoder | RbmLayer, x: Tensor, steps: int) -> list[float]:
    """Errors of some steps on one batch."""
    optimizer, errors = layer.train().optimizer(), []
    for step in range(steps):
        loss, error = layer.loss(x, generator(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(error.item())
    layer.eval()
    return errors


def machines(table: Architecture, x: Tensor, recipe: RbmRecipe, steps: int) -> list[RbmLayer]:
    """All machines of a table, each taught for some steps on what those below make of x."""
    layers: list[RbmLayer] = []
    for index, stage in enumerate(find_stages(table, "")):
        with torch.no_grad():
            inputs = up(layers, x)
        layer = RbmLayer(stage, moments([inputs]), recipe, generator(index), is_first=not index)
        learnt(layer, inputs, steps)
        layers.append(layer)
    return layers


# stages


def test_stages_of_the_paper() -> None:
    stages = find_stages(architecture("alexnet"), "")
    assert [[row.layer.name for row in stage.rows] for stage in stages] == [
        ["conv1", "relu1", "norm1", "pool1"], ["conv2", "relu2", "norm2", "pool2"],
        ["conv3", "relu3"], ["conv4", "relu4"], ["conv5", "relu5", "pool5"],
    ]  # fmt: skip
    assert [stage.in_channels for stage in stages] == [3, 96, 256, 384, 384]
    assert (stages[0].activation, stages[2].pool) == ("relu", None)


@pytest.mark.parametrize("name", ZOO)
def test_every_net_of_the_zoo_has_stages(name: str) -> None:
    table = architecture(name)
    convs = [layer.name for layer in table.layers if isinstance(layer, Conv)]
    stages = find_stages(table, "")
    assert [stage.name for stage in stages] == convs
    check_hidden_biases(table, stages)
    assert [stage.name for stage in find_stages(table, convs[1])] == convs[:2]
    last = find_stages(table, convs[1])[-1].rows[-1].layer.name
    assert truncated(table, find_stages(table, convs[1])).layers[-1].name == last


def test_a_layer_that_is_no_conv_layer_is_named() -> None:
    for name in ("conv9", "pool1", "fc6"):
        with pytest.raises(UnknownNameError, match=f"unknown conv layer of alexnet '{name}'"):
            find_stages(architecture("alexnet"), name)


def test_tables_that_cannot_be_pretrained() -> None:
    def table(*layers: object) -> Architecture:
        end = (Flatten("flatten"), FullyConnected("fc2", 3))
        return Architecture("odd", "here", (1, 20, 20), (*layers, *end))  # type: ignore[arg-type]

    with pytest.raises(ArchitectureError, match="pool1 and pool2 after conv1"):
        find_stages(table(Conv("conv1", 4, 3), Pool("pool1"), Pool("pool2")), "")
    with pytest.raises(ArchitectureError, match="begins with bn1"):
        find_stages(table(BatchNorm("bn1"), Conv("conv1", 4, 3)), "")
    biasless = table(Conv("conv1", 4, 3, bias=False), Activation("relu1"), BatchNorm("bn1"))
    with pytest.raises(ArchitectureError, match="conv1 of odd has neither a bias nor"):
        check_hidden_biases(biasless, find_stages(biasless, ""))


# moments


def test_moments_are_those_of_all_batches_together() -> None:
    x = torch.randn(9, 3, 5, 4, generator=generator()) * torch.tensor([1.0, 5, 0])[:, None, None]
    whole = moments([x[:4], x[4:]])
    torch.testing.assert_close(whole.mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(whole.deviations, x.std((0, 2, 3), correction=0))
    assert whole.deviation == pytest.approx((whole.deviations.square().mean() ** 0.5).item())
    assert moments([torch.ones(2, 1, 3, 3)]).deviation == 1


# auto-encoders


def test_noise_puts_a_share_at_zero_and_keeps_the_mean() -> None:
    x = torch.full((4, 3, 50, 50), 2.0)
    noisy = corrupt(x, 0.25, generator())
    assert noisy.unique().tolist() == pytest.approx([0, 2 / 0.75])
    assert (noisy == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert noisy.mean().item() == pytest.approx(2, abs=0.03)
    assert torch.equal(noisy, corrupt(x, 0.25, generator()))
    assert corrupt(x, 0.0, generator()) is x


def test_an_auto_encoder_by_hand() -> None:
    """One 1 x 1 filter of 2 on inputs divided by 4: code relu(2 x / 4), back 4 (2 h + c)."""
    layers = (
        Conv("conv1", 1, 1), Activation("relu1"), Pool("pool1", 2, 2), Flatten("flatten"),
        FullyConnected("fc2", 3),
    )  # fmt: skip
    stage = find_stages(Architecture("one", "here", (1, 2, 2), layers), "")[0]
    mean = Moments(torch.tensor([8.0]), torch.tensor([4.0]))
    layer = Autoencoder(stage, mean, AUTOENCODER, generator()).eval()
    assert (layer.scale.item(), layer.decoder_bias.item()) == (4, 2)
    with torch.no_grad():
        layer.conv.weight.fill_(2)
        code = layer.encode(torch.tensor([[[[1.0, 6], [-3, 4]]]]))
        assert code.maps.tolist() == [[[[3]]]]
        assert layer.decode(code).tolist() == [[[[8, 4 * (2 * 3 + 2)], [8, 8]]]]
    assert layer.export_weights()["conv1.weight"].item() == 0.5


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_bn", "lenet5"])
def test_the_reconstruction_error_of_an_auto_encoder_falls(name: str) -> None:
    table = narrow(name)
    x, stage = pictures(table), find_stages(table, "")[0]
    layer = Autoencoder(stage, moments([x]), AUTOENCODER, generator())
    errors = learnt(layer, x, 60)
    assert errors[-1] < 0.7 * errors[0]
    assert squared_error(*layer.reconstruct(x)).item() < 0.7


@pytest.mark.parametrize("name", ZOO)
def test_a_stack_of_auto_encoders_is_the_classifiers_own_pass(name: str) -> None:
    """Each stage's code, from inputs that the auto-encoder divides and the network does not."""
    table = narrow(name)
    x, layers = 3 * pictures(table), list[Autoencoder]()
    network = Network(truncated(table, find_stages(table, ""))).eval()
    inputs = x
    for index, stage in enumerate(find_stages(table, "")):
        layer = Autoencoder(stage, moments([inputs]), AUTOENCODER, generator(index))
        learnt(layer, inputs, 3)
        network.load_state_dict(layer.export_weights(), strict=False)
        with torch.no_grad():
            code = layer.encode(inputs)
            assert layer.decode(code).shape[:2] == inputs.shape[:2]
        inputs = code.maps
        layers.append(layer)
        stages = network.intermediate_outputs(x)
        ours = stages[stage.rows[-1].layer.name]
        torch.testing.assert_close(ours, inputs, rtol=1e-4, atol=1e-4 * float(inputs.abs().max()))
    missing = {name.partition(".")[0] for name in network.state_dict()}
    assert missing == {
        key for layer in layers for key in layer.layers if layer.layers[key].state_dict()
    }


# machines


def test_first_biases_are_those_of_the_guide() -> None:
    table = narrow("alexnet")
    first, second = find_stages(table, "")[:2]
    measured = Moments(torch.tensor([1.0, 0, -1]), torch.full((3,), 4.0))
    layer = RbmLayer(first, measured, RBM, generator(), is_first=True)
    assert layer.scale.item() == 4 * RBM.visible_sd
    assert layer.rbm.visible_bias.tolist() == [0.5, 0, -0.5]
    assert layer.rbm.hidden_bias[0].item() == pytest.approx(math.log(0.05 / 0.95))
    assert layer.rbm.block == 2
    above = Moments(torch.full((second.in_channels,), 0.25), torch.ones(second.in_channels))
    layer = RbmLayer(second, above, replace(RBM, sparsity_cost=0), generator(), is_first=False)
    assert layer.rbm.visible_bias[0].item() == pytest.approx(math.log(0.25 / 0.75))
    assert layer.rbm.hidden_bias[0].item() == 0
    assert not layer.rbm.is_gaussian


@pytest.mark.parametrize("hidden_pooling", ["probabilistic", "none"])
def test_what_the_next_machine_sees(hidden_pooling: str) -> None:
    """The probability that a block is on, or the table's pooling of the probabilities."""
    table = narrow("alexnet")
    x, recipe = pictures(table), replace(RBM, hidden_pooling=hidden_pooling)  # type: ignore[arg-type]
    layer = RbmLayer(find_stages(table, "")[0], moments([x]), recipe, generator(), is_first=True)
    with torch.no_grad():
        layer.rbm.weight.normal_(0, 0.2, generator=generator())
        code, p = layer.encode(x), layer.rbm.hidden(layer.visible_input(x))
        back = layer.decode(code)
    if hidden_pooling == "probabilistic":
        torch.testing.assert_close(code.maps[:, :, 0, 0], p[:, :, :2, :2].sum((2, 3)))
        assert hidden_and_input(code.maps) == tuple(-(-side // 2) for side in hidden_and_input(p))
        whole = layer.rbm.visible(p, code.outer) * layer.scale
        torch.testing.assert_close(back, whole)  # nothing is lost on the way down
    else:
        torch.testing.assert_close(code.maps[:, :, 0, 0], p[:, :, :3, :3].amax((2, 3)))
    assert code.maps.max() <= 1
    assert back.shape == layer.visible_input(x).shape


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_bn", "lenet5"])
def test_the_reconstruction_error_of_a_machine_falls(name: str) -> None:
    table = narrow(name)
    x = pictures(table)
    layer = RbmLayer(find_stages(table, "")[0], moments([x]), RBM, generator(), is_first=True)
    errors = learnt(layer, x, 100)
    assert errors[-1] < 0.6 * errors[0]
    assert squared_error(*layer.reconstruct(x)).item() < 0.6


def test_sparsity_reaches_its_target() -> None:
    table = narrow("alexnet")
    x = pictures(table)
    recipe = replace(RBM, sparsity_target=0.1, visible_sd=3.0)
    layer = RbmLayer(find_stages(table, "")[0], moments([x]), recipe, generator(), is_first=True)
    learnt(layer, x, 100)
    assert layer.activity(x).item() == pytest.approx(0.1, abs=0.02)


# from a machine to the classifier


def settled(table: Architecture, x: Tensor, layers: Sequence[RbmLayer]) -> Network:
    """The network with the machines' weights, measured on two batches."""
    network = Network(truncated(table, find_stages(table, ""))).eval()
    for index, layer in enumerate(layers):
        transfer(layer, layers[:index], network, [x[:5], x[5:]])
    return network


def preactivation(network: Network, stage: Stage, x: Tensor) -> Tensor:
    """What the stage's convolution gives, with the batch norm right after it."""
    inner = stage.rows[1].layer if stage.inner_norm else stage.conv
    return network.intermediate_outputs(x)[inner.name]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_bn", "alexnet_notebook"])
def test_the_first_sigmoid_layer_computes_what_the_machine_computes(name: str) -> None:
    """W' u + b' = W (u / s) + b for every picture, with b' in the batch norm where there is one."""
    table = variant(narrow(name), ModelOptions(activation="sigmoid"))
    x = 20 * pictures(table)
    layers = machines(table, x, RBM, 5)[:1]
    network, layer = settled(table, x, layers), layers[0]
    with torch.no_grad():
        expected = layer.rbm.hidden_input(layer.visible_input(x))
        torch.testing.assert_close(
            preactivation(network, layer.stage, x), expected, rtol=1e-4, atol=1e-4
        )
        weight = network.get_parameter("conv1.weight") * layer.scale
    torch.testing.assert_close(weight, layer.rbm.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ZOO)
def test_a_rectified_layer_is_on_as_often_as_the_machine(name: str) -> None:
    """Its filters keep their directions, W' * u has deviation 1, and no map is dead."""
    table = narrow(name)
    if name == "lenet5":
        table = variant(table, ModelOptions(activation="relu"))
    x = 20 * pictures(table)
    layers = machines(table, x, RBM, 3)
    network = settled(table, x, layers)
    for index, layer in enumerate(layers):
        weight = network.get_parameter(f"{layer.stage.name}.weight")
        likeness = nn.functional.cosine_similarity(weight.flatten(1), layer.rbm.weight.flatten(1))
        torch.testing.assert_close(likeness, torch.ones_like(likeness), rtol=1e-4, atol=0)
        with torch.no_grad():
            p = layer.rbm.hidden(layer.visible_input(up(layers[:index], x)))
            maps = preactivation(network, layer.stage, x)
        share = (maps > 0).float().mean((0, 2, 3))
        rounding = 3 / maps[:, 0].numel()  # a whole number of places, and one of them at the edge
        assert (share - p.mean((0, 2, 3))).abs().max() < 1e-3 + rounding
        ones = torch.ones(len(share))
        torch.testing.assert_close(moments([maps]).deviations, ones, rtol=1e-3, atol=0)


def test_a_tanh_layer_computes_the_machines_probabilities() -> None:
    """tanh(x / 2) = 2 sigmoid(x) - 1."""
    table = narrow("lenet5")
    x = pictures(table)
    layers = machines(table, x, RBM, 5)[:1]
    with torch.no_grad():
        p = layers[0].rbm.hidden(layers[0].visible_input(x))
        tanh = settled(table, x, layers).intermediate_outputs(x)["tanh1"]
    torch.testing.assert_close(tanh, 2 * p - 1, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("name", ["alexnet", "alexnet_bn", "cifar_quick"])
def test_other_layers_get_the_mean_and_deviation_of_the_machine(
    name: str, activation: Literal["sigmoid", "tanh"]
) -> None:
    table = variant(narrow(name), ModelOptions(activation=activation))
    x = 20 * pictures(table)
    layers = machines(table, x, RBM, 3)
    network = settled(table, x, layers)
    for index, layer in enumerate(layers):
        with torch.no_grad():
            inputs = layer.visible_input(up(layers[:index], x))
            wanted = moments([layer.rbm.hidden_input(inputs)])
            here = moments([preactivation(network, layer.stage, x)])
        half = 0.5 if activation == "tanh" else 1
        torch.testing.assert_close(here.mean, half * wanted.mean, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(here.deviations, half * wanted.deviations, rtol=0.02, atol=1e-5)


def test_the_value_that_a_share_of_the_places_exceeds() -> None:
    maps = torch.arange(20.0).view(2, 2, 5, 1)  # 0-4 and 10-14; 5-9 and 15-19
    assert upper_quantile([maps[:1], maps[1:]], torch.tensor([0.5, 0.25])).tolist() == [4, 16]
    assert upper_quantile([maps], torch.tensor([1.0, 0.0])).tolist() == [0, 19]


def test_a_batch_norm_elsewhere_gets_the_statistics_it_will_see() -> None:
    table = narrow("alexnet_notebook")
    x = pictures(table)
    network = settled(table, x, machines(table, x, RBM, 3))
    for name in ("bn1", "bn2"):
        norm = network.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        seen = moments([before(network, name, x)])
        torch.testing.assert_close(norm.running_mean, seen.mean)
        assert norm.weight.unique().tolist() == [1]
