"""A network prepared for inference gives what the network gives, within a stated tolerance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import alexnet.inference
from alexnet.classifier import load
from alexnet.inference import (
    LARGEST_INT8_BATCH,
    SmallLinear,
    WinogradConv,
    folded,
    optimized_network,
    takes_winograd,
    transformed,
)
from alexnet.kernels import kernels
from alexnet.layer_kinds import Conv
from alexnet.layers import ConvModule
from alexnet.network import Network, channels_last
from alexnet.runs import RunFolder
from alexnet.variants import variant
from alexnet.zoo import ZOO, architecture

has_kernels = pytest.mark.skipif(kernels() is None, reason="no C compiler here")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def winograd(layer: nn.Conv2d) -> WinogradConv:
    built = kernels()
    assert built is not None
    return WinogradConv(layer, built)


@has_kernels
@pytest.mark.parametrize("side", [(6, 6), (13, 13), (5, 9), (3, 3), (7, 4)])
@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "padding", "groups"),
    [
        (32, 16, 3, 1, 1),
        (33, 19, 3, 1, 1),  # not a multiple of the kernel's 16 lanes
        (8, 6, 3, 0, 2),
        (96, 64, 5, 2, 2),
        (20, 12, 5, 2, 4),
        (4, 4, 5, 3, 1),
        (3, 5, 3, 2, 1),
    ],
)
def test_winograd_is_the_direct_sum(
    inputs: int, outputs: int, kernel: int, padding: int, groups: int, side: tuple[int, int]
) -> None:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups)
    x = draw(3, inputs, *side)
    with torch.inference_mode():
        found = winograd(layer)(x)
        assert layer.bias is not None
        expected = F.conv2d(
            x.double(), layer.weight.double(), layer.bias.double(), padding=padding, groups=groups
        )
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found - expected).abs().max() < 2e-5 * expected.abs().max()


@has_kernels
def test_many_pictures_are_taken_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = winograd(nn.Conv2d(16, 16, 3, padding=1)), draw(7, 16, 9, 9)
    whole = layer(x)
    monkeypatch.setattr(alexnet.inference, "CHUNK_BYTES", 36 * 9 * 32 * 4 * 3)
    assert layer._images_at_a_time(x) == 3
    torch.testing.assert_close(layer(x), whole, rtol=1e-5, atol=1e-6)


@has_kernels
def test_a_convolution_without_bias_gets_none() -> None:
    layer, x = nn.Conv2d(16, 16, 3, bias=False), draw(1, 16, 5, 5)
    torch.testing.assert_close(winograd(layer)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_points_by_hand() -> None:
    """A kernel of ones: at 0, 1/4; at 1, -1/6 * 3; at 2, 1/24 * (1 + 2 + 4); at infinity, 1."""
    matrices = transformed(torch.ones(1, 1, 3, 3), 1).reshape(6, 6)
    assert matrices[0, 0] == pytest.approx(1 / 16)
    assert matrices[1, 1] == pytest.approx(1 / 4)
    assert matrices[3, 3] == pytest.approx((7 / 24) ** 2)
    assert matrices[5, 5] == 1


def test_which_convolutions_are_cut_into_tiles() -> None:
    def takes(**options: object) -> bool:
        layer = Conv("c", **{"channels": 64, "kernel": 3, **options})  # type: ignore[arg-type]
        return takes_winograd(ConvModule(layer, 64))

    assert takes()
    assert takes(kernel=5, padding=2, groups=2)
    assert not takes(kernel=11)
    assert not takes(stride=2)
    assert not takes(groups=4)  # 16 maps a group
    assert not takes(end_padding=1)


@has_kernels
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_weights_of_one_byte_by_the_definition(batch: int) -> None:
    layer, x = nn.Linear(192, 10), draw(batch, 192)
    built = kernels()
    assert built is not None
    with torch.no_grad():
        found = SmallLinear(layer, torch.float32, built)(x)
        blocks = layer.weight.reshape(10, 3, 64).double()
        scales = blocks.abs().amax(2, keepdim=True) / 127
        rounded = ((blocks / scales).round() * scales).reshape(10, 192)
        assert (rounded - layer.weight).abs().max() <= scales.max() / 2 * 1.001
        torch.testing.assert_close(
            found.double(), F.linear(x.double(), rounded, layer.bias.double()), rtol=1e-5, atol=1e-5
        )


@has_kernels
def test_large_batches_read_the_whole_weights() -> None:
    layer = nn.Linear(64, 5)
    built = kernels()
    assert built is not None
    small, x = SmallLinear(layer, torch.float32, built), draw(LARGEST_INT8_BATCH + 1, 64)
    assert torch.equal(small(x), layer(x))
    assert not torch.equal(small(x[:-1]), layer(x[:-1]))


@has_kernels
def test_weights_of_zero_give_the_bias() -> None:
    layer = nn.Linear(64, 5)
    nn.init.zeros_(layer.weight)
    built = kernels()
    assert built is not None
    small = SmallLinear(layer, torch.float32, built)
    assert torch.equal(small(draw(2, 64)), layer.bias.expand(2, 5))


def narrow(name: str) -> Network:
    """A narrow net in evaluation mode, with batch statistics that are not the first ones."""
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(name), width=0.5, classes=7)))
    images = draw(8, *network.architecture.input)
    network.train()
    with torch.no_grad():
        network(images)
    return network.eval()


@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_net_computes_the_same(name: str) -> None:
    network = narrow(name)
    images = draw(2, *network.architecture.input, seed=1)
    before = {key: t.clone() for key, t in network.state_dict().items()}
    optimized = optimized_network(network, "float32", has_int8=False)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
        stages = optimized.stages(images)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert list(stages) == list(network.stages(images))
    after = network.state_dict()
    assert all(torch.equal(t, after[key]) for key, t in before.items())


def test_batch_norms_are_folded() -> None:
    layers = folded(narrow("alexnet_bn"))
    assert not [layer for layer in layers.values() if isinstance(layer, nn.BatchNorm2d)]


def test_without_kernels_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = narrow("alexnet")
    monkeypatch.setattr(alexnet.inference, "kernels", lambda: None)
    optimized = optimized_network(network, "float32")
    images = draw(1, *network.architecture.input)
    assert not [m for m in optimized.modules() if isinstance(m, WinogradConv | SmallLinear)]
    with torch.inference_mode():
        assert torch.equal(optimized(images), network(images))


def test_bf16_weights_are_stored_in_bf16() -> None:
    network = narrow("cifar_quick")
    optimized = optimized_network(network, "bf16", has_int8=False)
    assert {p.dtype for p in optimized.parameters()} == {torch.bfloat16}
    images = draw(2, *network.architecture.input)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
    assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_an_optimized_classifier_predicts_the_same(trained: RunFolder) -> None:
    classifier = load(trained.path)
    side = classifier.info.preprocessing.store_pixels
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(3)]
    plain, fast = classifier.predict(pictures), classifier.optimized().predict(pictures)
    for one, other in zip(plain, fast, strict=True):
        assert [g.label for g in one.guesses[:1]] == [g.label for g in other.guesses[:1]]
        assert one.guesses[0].probability == pytest.approx(other.guesses[0].probability, abs=0.02)
