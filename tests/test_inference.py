"""A network prepared for inference gives what the network gives, within a stated tolerance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import alexnet.inference
from alexnet.classifier import load
from alexnet.inference import folded, optimized_network
from alexnet.int8 import Int8Conv, Int8Linear, SmallLinear
from alexnet.network import Network, channels_last
from alexnet.runs import RunFolder
from alexnet.variants import variant
from alexnet.winograd import WinogradConv
from alexnet.zoo import ZOO, architecture

LAYERS = (WinogradConv, SmallLinear, Int8Conv, Int8Linear)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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
    assert not [m for m in optimized.modules() if isinstance(m, LAYERS)]
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
