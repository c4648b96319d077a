"""A network prepared for inference gives what the network gives, within a stated tolerance."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import alexnet.inference.optimize
import alexnet.ops.library
from alexnet.errors import UsageError
from alexnet.inference.classifier import load
from alexnet.inference.int8 import Int8Conv, Int8Linear, WeightOnlyInt8Linear
from alexnet.inference.optimize import (
    FusedReluNormPool,
    fold_batch_norm,
    joined,
    optimize_for_inference,
)
from alexnet.inference.winograd import WinogradConv
from alexnet.models import layers
from alexnet.models.modules import ResponseNorm
from alexnet.models.network import Network, channels_last
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from alexnet.ops.norms import response_norm
from alexnet.training.run_folder import RunFolder
from support.kernels import built, draw, has_kernels

LAYERS = (WinogradConv, WeightOnlyInt8Linear, Int8Conv, Int8Linear, FusedReluNormPool)


def narrow(name: str) -> Network:
    """A narrow net in evaluation mode, with batch statistics that are not the first ones."""
    torch.manual_seed(0)
    network = channels_last(
        Network(variant(architecture(name), ModelOptions(width=0.5), num_classes=7))
    )
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
    optimized = optimize_for_inference(network, "float32", int8=False)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
        stages = optimized.intermediate_outputs(images)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert list(stages) == list(network.intermediate_outputs(images))
    after = network.state_dict()
    assert all(torch.equal(t, after[key]) for key, t in before.items())


@pytest.mark.parametrize("batch", [2, 9])
@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_net_computes_nearly_the_same_as_it_is_prepared_by_itself(
    name: str, batch: int
) -> None:
    """With bytes and bf16, whatever this processor has: a few percent of the largest logit."""
    network = narrow(name)
    images = draw(batch, *network.architecture.input, seed=1)
    with torch.inference_mode():
        expected, found = network(images), optimize_for_inference(network)(images).float()
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_the_given_net_stays_as_it_is() -> None:
    network = narrow("alexnet_bn").train()
    for precision in ("float32", "bf16"):
        optimize_for_inference(network, precision, int8=False)  # type: ignore[arg-type]
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


@has_kernels
def test_a_relu_with_nothing_before_it_stays() -> None:
    layers = {
        "relu": nn.ReLU(),
        "fc": WeightOnlyInt8Linear(nn.Linear(64, 5), nn.Identity(), built()),
    }
    found = joined(layers, built())
    assert isinstance(found["relu"], nn.ReLU)
    assert layers["fc"].least < 0  # type: ignore[operator]


@has_kernels
def test_winograd_under_autocast_is_float32() -> None:
    layer, x = nn.Conv2d(32, 32, 3, padding=1), draw(1, 32, 8, 8)
    with torch.inference_mode():
        plain = WinogradConv(layer, built())(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(WinogradConv(layer, built())(x), plain)


@has_kernels
def test_windows_far_wider_than_the_maps_are_no_matter_of_the_stack() -> None:
    def pooled(size: int) -> torch.Tensor:
        row = layers.ResponseNorm("norm", size=size)
        x = draw(1, 4, 2, 2).contiguous(memory_format=torch.channels_last)
        return FusedReluNormPool(ResponseNorm(row), nn.MaxPool2d(2, 2), built())(x)

    assert torch.equal(pooled(1 << 22), pooled(7))
    assert not torch.equal(pooled(3), pooled(7))


@has_kernels
def test_pooling_windows_larger_than_the_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="maps of 2 x 4 are smaller than the window, 3"):
        FusedReluNormPool(None, nn.MaxPool2d(3, 2), built())(draw(1, 4, 2, 4))


def test_prepared_twice_is_prepared() -> None:
    optimized = optimize_for_inference(narrow("alexnet"))
    images = draw(2, *optimized.architecture.input)
    with torch.inference_mode():
        assert torch.equal(optimize_for_inference(optimized)(images), optimized(images))


def test_batch_norms_are_folded() -> None:
    layers = fold_batch_norm(narrow("alexnet_bn"))
    assert not [layer for layer in layers.values() if isinstance(layer, nn.BatchNorm2d)]


@has_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", [None, {"groups": 1}, {"groups": 2}, {"size": 4, "beta": 0.5}])
@pytest.mark.parametrize(
    ("window", "sides"), [((3, 2), (13, 10)), ((2, 2), (9, 8)), ((3, 1), (3, 5))]
)
def test_one_pass_is_relu_norm_and_pooling(
    norm: dict[str, float] | None,
    window: tuple[int, int],
    sides: tuple[int, int],
    dtype: torch.dtype,
) -> None:
    x = (draw(3, 12, *sides) * 40).to(dtype).contiguous(memory_format=torch.channels_last)
    x[1, 5, 1, 2] = float("nan")
    x[2, 3] = -x[2, 3].abs()
    x[2, 3, ::2] = -0.0
    row = layers.ResponseNorm("norm", **norm) if norm is not None else None  # type: ignore[arg-type]
    layer = FusedReluNormPool(row and ResponseNorm(row), nn.MaxPool2d(*window), built())
    found = layer(x)
    y = x.float().relu()
    if row:
        y = response_norm(y, row.size, row.alpha, row.beta, row.k, row.groups)
    expected = F.max_pool2d(y, *window)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    tolerance = 1e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=1e-6, equal_nan=True)
    assert found.isnan().any()
    assert not found[0].isnan().any()
    assert not found[2].signbit().any()


def test_without_kernels_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = narrow("alexnet")
    monkeypatch.setattr(alexnet.inference.optimize, "kernels", lambda: None)
    optimized = optimize_for_inference(network, "float32")
    images = draw(1, *network.architecture.input)
    assert not [m for m in optimized.modules() if isinstance(m, LAYERS)]
    with torch.inference_mode():
        assert torch.equal(optimized(images), network(images))


def test_bf16_weights_are_stored_in_bf16() -> None:
    network = narrow("cifar_quick")
    optimized = optimize_for_inference(network, "bf16", int8=False)
    assert {p.dtype for p in optimized.parameters()} == {torch.bfloat16}
    images = draw(2, *network.architecture.input)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
    assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


@has_kernels
def test_a_prepared_net_is_copied_and_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    optimized = optimize_for_inference(narrow("alexnet"), "float32")
    images = draw(2, *optimized.architecture.input)
    content = pickle.dumps(optimized)
    with torch.inference_mode():
        expected = optimized(images)
        for other in (copy.deepcopy(optimized), pickle.loads(content)):
            assert torch.equal(other(images), expected)
    monkeypatch.setattr(alexnet.ops.library, "kernels", lambda: None)
    with pytest.raises(UsageError, match=r"another kind of processor.*call optimized\(\) again"):
        pickle.loads(content)


def test_an_optimized_classifier_predicts_the_same(trained: RunFolder) -> None:
    classifier = load(trained.path)
    side = classifier.info.preprocessing.resize_size
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(3)]
    plain, fast = classifier.predict(pictures), classifier.optimized().predict(pictures)
    for one, other in zip(plain, fast, strict=True):
        assert [g.label for g in one.top_classes[:1]] == [g.label for g in other.top_classes[:1]]
        assert one.top_classes[0].probability == pytest.approx(
            other.top_classes[0].probability, abs=0.02
        )
