"""An optimized network computes what the network computes, within a stated tolerance."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.config.recipe import Precision
from alexnet.errors import UsageError
from alexnet.inference import optimize
from alexnet.inference.classifier import load
from alexnet.inference.fused import FusedReluNormPool
from alexnet.inference.int8 import (
    MAX_ACCUMULATED_INPUTS,
    WEIGHT_BLOCK,
    Int8Conv2d,
    Int8Linear,
    WeightOnlyInt8Linear,
)
from alexnet.inference.optimize import (
    LayerOptimizer,
    fold_batch_norm,
    fuse_relu,
    optimize_for_inference,
)
from alexnet.inference.quantization import quantize_per_channel
from alexnet.inference.winograd import WinogradConv2d
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, Flatten, FullyConnected
from alexnet.models.modules import Conv2d, Linear, ResponseNorm
from alexnet.models.network import Network, channels_last, create_model
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from alexnet.ops.huge_pages import PAGE_BYTES
from alexnet.ops.library import KernelLibrary
from alexnet.training.run_folder import RunFolder
from support.kernels import randn, torch_threads, without_kernels
from support.narrow_nets import SIDES
from support.slow import first_fast

LAYERS = (WinogradConv2d, WeightOnlyInt8Linear, Int8Conv2d, Int8Linear, FusedReluNormPool)


@functools.cache
def narrow(name: str) -> Network:
    """A narrow network in evaluation mode, with batch statistics that are not the initial ones."""
    torch.manual_seed(0)
    options = ModelOptions(width=0.25, input_size=SIDES.get(name, 131))
    network = channels_last(Network(variant(architecture(name), options, num_classes=7)))
    with torch.no_grad():
        network.train()(randn(8, *network.architecture.input))
    return network.eval()


def int8_optimizer(kernels: KernelLibrary, dtype: torch.dtype = torch.float32) -> LayerOptimizer:
    """As on a CPU with int8 dot products and without AMX: every layer that can computes in int8."""
    return LayerOptimizer(dtype=dtype, kernels=kernels, int8=True, is_bf16_faster=False)


@pytest.mark.parametrize("name", first_fast(ZOO, fast=3))
def test_every_network_in_float32(name: str) -> None:
    network = narrow(name)
    images = randn(2, *network.architecture.input, seed=1)
    before = {key: t.clone() for key, t in network.state_dict().items()}
    optimized = optimize_for_inference(network, "float32", int8=False)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
        outputs = optimized.intermediate_outputs(images)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert list(outputs) == list(network.intermediate_outputs(images))
    after = network.state_dict()
    assert all(torch.equal(t, after[key]) for key, t in before.items())


@pytest.mark.parametrize("batch", first_fast([9, 2]))
@pytest.mark.parametrize("name", first_fast(ZOO, fast=3))
def test_every_network_in_what_this_cpu_prefers(name: str, batch: int) -> None:
    """With int8 and bf16, whatever it has: a few percent of the largest logit."""
    network = narrow(name)
    images = randn(batch, *network.architecture.input, seed=1)
    with torch.inference_mode():
        expected, found = network(images), optimize_for_inference(network)(images).float()
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("name", first_fast(ZOO, fast=3))
def test_every_network_in_int8(name: str, int8_kernels: KernelLibrary) -> None:
    """Also on a CPU with AMX, which prefers bf16."""
    network = narrow(name)
    images = randn(2, *network.architecture.input, seed=1)
    optimized = int8_optimizer(int8_kernels).optimize(network)
    assert not [m for m in optimized.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_the_given_network_stays_as_it_is() -> None:
    network = copy.deepcopy(narrow("alexnet_bn")).train()
    for precision in ("float32", "bf16", "fp16"):
        optimize_for_inference(network, precision, int8=False)  # type: ignore[arg-type]
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("int8", [True, False])
def test_no_weight_is_shared_with_the_given_network(int8: bool) -> None:
    """It may be mapped from a file, trained on, or moved."""
    network = copy.deepcopy(narrow("alexnet_notebook"))
    images = randn(2, *network.architecture.input)
    optimized = optimize_for_inference(network, "float32", int8=int8)
    with torch.inference_mode():
        before = optimized(images)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(0)
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.inference_mode():
        assert torch.equal(optimized(images), before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has huge pages")
@pytest.mark.parametrize("int8", [True, False])
def test_large_weights_are_on_huge_pages(int8: bool) -> None:
    layers = (Flatten("flatten"), FullyConnected("fc", PAGE_BYTES // 64))
    arch = Architecture("large", "a test", (3, 8, 8), layers)
    optimized = optimize_for_inference(Network(arch).eval(), "bf16", int8=int8)
    tensors = [*optimized.parameters(), *optimized.buffers()]
    large = [t for t in tensors if t.numel() * t.element_size() >= PAGE_BYTES]
    assert large
    assert all(t.data_ptr() % PAGE_BYTES == 0 for t in large)


def test_optimizing_twice_changes_nothing() -> None:
    optimized = optimize_for_inference(narrow("alexnet"))
    images = randn(2, *optimized.architecture.input)
    with torch.inference_mode():
        assert torch.equal(optimize_for_inference(optimized)(images), optimized(images))


@pytest.mark.parametrize(
    "pool", [nn.AvgPool2d(3, 2), nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True)]
)
def test_an_edited_network_is_not_optimized(pool: nn.Module) -> None:
    """The layers that replace its own would be those of the architecture."""
    network = copy.deepcopy(narrow("alexnet"))
    network.pool2 = pool
    with pytest.raises(UsageError, match=r"^the network cannot be optimized: .* pool2"):
        optimize_for_inference(network)


def test_hooks_would_be_lost() -> None:
    network = copy.deepcopy(narrow("alexnet"))
    network.get_submodule("relu1").register_forward_hook(lambda *_: None)
    with pytest.raises(
        UsageError, match=r"^the network cannot be optimized: relu1 has a forward h"
    ):
        optimize_for_inference(network)


def test_a_parametrized_weight_is_told() -> None:
    network = copy.deepcopy(narrow("alexnet"))
    nn.utils.parametrizations.weight_norm(network.get_submodule("fc7"))
    with pytest.raises(UsageError, match="fc7 is torch's ParametrizedLinear, and should be alexn"):
        optimize_for_inference(network)


def test_batch_norms_are_folded() -> None:
    layers = fold_batch_norm(narrow("alexnet_bn"))
    assert not [layer for layer in layers.values() if isinstance(layer, nn.BatchNorm2d)]


def int8_linear(kernels: KernelLibrary) -> WeightOnlyInt8Linear:
    return WeightOnlyInt8Linear(nn.Linear(64, 5), nn.Identity(), kernels)


def test_relu_norm_and_pool_become_one_layer(kernels: KernelLibrary) -> None:
    norm = ResponseNorm()
    found = fuse_relu(
        {
            "conv1": nn.Conv2d(3, 8, 3),
            "relu1": nn.ReLU(),
            "norm1": norm,
            "pool1": nn.MaxPool2d(3, 2),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(3, 2),
            "relu3": nn.ReLU(),
            "pool3": nn.MaxPool2d(3, 2, ceil_mode=True),
            "relu4": nn.ReLU(),
            "norm4": norm,
        },
        kernels,
    )
    kinds = {name: type(layer) for name, layer in found.items()}
    assert kinds == {
        "conv1": nn.Conv2d,
        "relu1": nn.Identity,
        "norm1": nn.Identity,
        "pool1": FusedReluNormPool,
        "relu2": nn.Identity,
        "pool2": FusedReluNormPool,
        "relu3": nn.ReLU,  # a pooling in ceil mode is left to torch
        "pool3": nn.MaxPool2d,
        "relu4": nn.ReLU,
        "norm4": ResponseNorm,
    }
    assert found["pool1"].norm == norm.layer
    assert found["pool2"].norm is None


def test_other_relus_go_into_the_quantized_layer_before_them(kernels: KernelLibrary) -> None:
    """Also over a folded batch norm; a ReLU with nothing before it stays."""
    layers = {
        "relu0": nn.ReLU(),
        "fc1": int8_linear(kernels),
        "bn1": nn.Identity(),
        "relu1": nn.ReLU(),
        "fc2": int8_linear(kernels),
        "dropout2": nn.Dropout(),
        "relu2": nn.ReLU(),
    }
    found = fuse_relu(layers, kernels)
    kept = {name for name, layer in found.items() if isinstance(layer, nn.ReLU)}
    assert kept == {"relu0", "relu2"}
    assert layers["fc1"].clamp_min == 0
    assert layers["fc2"].clamp_min < 0  # type: ignore[operator]


def test_layers_with_a_forward_pass_of_their_own_stay(kernels: KernelLibrary) -> None:
    """As in an optimized network that was edited, and is optimized again."""
    layers = {"relu1": nn.ReLU(), "pool1": nn.MaxPool2d(3, 2), "fc2": int8_linear(kernels)}
    layers["relu2"] = nn.ReLU()
    for name in ("pool1", "relu2"):
        vars(layers[name])["forward"] = torch.neg
    assert fuse_relu(layers, kernels) == layers
    network = copy.deepcopy(narrow("alexnet_bn"))
    vars(network.bn1)["forward"] = torch.neg
    folded = fold_batch_norm(network)
    assert folded["bn1"] is network.bn1
    assert isinstance(folded["bn2"], nn.Identity)


def test_without_kernels_torch_computes() -> None:
    network = narrow("alexnet")
    with without_kernels():
        optimized = optimize_for_inference(network, "float32")
    images = randn(1, *network.architecture.input)
    assert not [m for m in optimized.modules() if isinstance(m, LAYERS)]
    with torch.inference_mode():
        assert torch.equal(optimized(images), network(images))


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.half)])
def test_weights_are_stored_in_the_type_of_the_products_but_the_last(
    precision: Precision, dtype: torch.dtype
) -> None:
    network = narrow("cifar_quick")
    optimized = optimize_for_inference(network, precision, int8=False)
    types = [p.dtype for p in optimized.parameters() if p.ndim > 1]
    assert types == [dtype] * 3 + [torch.float32]
    images = randn(2, *network.architecture.input)
    with torch.inference_mode():
        expected, found = network(images), optimized(images)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_weight_only_int8_is_quantized_from_the_float32_weights(kernels: KernelLibrary) -> None:
    """Not from their bf16 copies, which large batches use where int8 is not the fastest."""
    network = narrow("cifar_quick")
    optimizer = LayerOptimizer(
        dtype=torch.bfloat16, kernels=kernels, int8=True, is_bf16_faster=True
    )
    small = optimizer.optimize(network).fc4
    assert isinstance(small, WeightOnlyInt8Linear)
    weight = network.fc4.weight.reshape(-1, WEIGHT_BLOCK)  # type: ignore[operator, union-attr]
    quantized, scales = quantize_per_channel(weight)  # type: ignore[arg-type]
    assert torch.equal(small.get_buffer("quantized").flatten(), quantized.flatten())
    assert torch.equal(small.get_buffer("scales").flatten(), scales)


@pytest.mark.parametrize(
    ("dtype", "is_bf16_faster", "most"),
    [(torch.bfloat16, False, 8), (torch.float32, True, 8), (torch.bfloat16, True, 2)],
)
def test_weights_alone_are_int8_for_fewer_images_beside_tiles(
    kernels: KernelLibrary,
    dtype: torch.dtype,
    is_bf16_faster: bool,
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the larger batches are multiplied in bf16 by tiles."""
    monkeypatch.setattr(optimize, "has_fast_int8", lambda kernels: False)
    optimizer = LayerOptimizer(
        dtype=dtype, kernels=kernels, int8=True, is_bf16_faster=is_bf16_faster
    )
    optimized, x = optimizer.optimize_layer(Linear(64, 5)), randn(most + 1, 64)
    assert isinstance(optimized, WeightOnlyInt8Linear)
    assert torch.equal(optimized(x), optimized.large(x))
    assert not torch.equal(optimized(x[:-1]), optimized.large(x[:-1]).float())


def kind(layer: nn.Module, kernels: KernelLibrary | None, **options: object) -> type:
    defaults = {"dtype": torch.float32, "int8": True, "is_bf16_faster": False}
    optimizer = LayerOptimizer(kernels=kernels, **{**defaults, **options})  # type: ignore[arg-type]
    optimized = optimizer.optimize_layer(layer)
    return type(optimized) if isinstance(optimized, LAYERS) else nn.Module


def test_which_layers_are_quantized(int8_kernels: KernelLibrary) -> None:
    """All, except where bf16 is faster, int8 is not wanted, or int32 could overflow."""
    conv, linear = Conv2d(Conv("conv", channels=32, kernel=3), 32), Linear(64, 8)
    assert kind(conv, int8_kernels) == Int8Conv2d
    assert kind(linear, int8_kernels) == Int8Linear
    assert kind(conv, int8_kernels, is_bf16_faster=True) == WinogradConv2d
    assert kind(linear, int8_kernels, is_bf16_faster=True) == WeightOnlyInt8Linear
    assert kind(conv, int8_kernels, int8=False) == WinogradConv2d
    assert kind(conv, int8_kernels, int8=False, dtype=torch.bfloat16) == nn.Module
    assert kind(linear, int8_kernels, int8=False) == nn.Module
    assert kind(Linear(MAX_ACCUMULATED_INPUTS + 1, 1), int8_kernels) == nn.Module
    assert kind(conv, None) == kind(linear, None) == nn.Module


def test_the_policy_is_read_from_the_cpu(
    int8_kernels: KernelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's bf16 where that alone is multiplied by tiles; else int8, in the network's order."""
    network = create_model("cifar_quick")
    quantized = [Int8Conv2d] * 3 + [Int8Linear]

    def kinds() -> list[type]:
        modules = optimize_for_inference(network).modules()
        return [type(m) for m in modules if isinstance(m, Int8Conv2d | Int8Linear)]

    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert kinds() == quantized
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    for instruction_set, expected in (("amx_int8", quantized), ("avx512_vnni", [])):
        found = replace(int8_kernels, instruction_set=instruction_set)
        monkeypatch.setattr(optimize, "load_kernels", lambda found=found: found)
        assert kinds() == expected


def test_a_prediction_depends_neither_on_the_batch_nor_on_threads(
    int8_kernels: KernelLibrary,
) -> None:
    network = int8_optimizer(int8_kernels, torch.bfloat16).optimize(narrow("alexnet"))
    images = randn(12, *network.architecture.input)
    images[:-1] *= 50
    with torch.inference_mode():
        whole, part, one = network(images), network(images[3:]), network(images[-1:])
        with torch_threads(3):
            other = network(images[-1:])
    assert torch.equal(whole[3:], part)
    assert torch.equal(whole[-1:], one)
    assert torch.equal(one, other)


def test_feature_maps_are_of_so_many_images_at_a_time_in_int8_alone(
    int8_kernels: KernelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize, "maps_at_a_time", lambda values: 4)
    original, lengths = narrow("alexnet"), []
    images = randn(10, *original.architecture.input)
    for int8, expected in ((True, [4, 4, 2]), (False, [10])):
        made = replace(int8_optimizer(int8_kernels, torch.bfloat16), int8=int8)
        network = made.optimize(original)
        lengths.clear()
        network.get_submodule("conv5").register_forward_hook(lambda _, x, y: lengths.append(len(y)))
        with torch.inference_mode():
            logits = network(images)
            assert lengths == expected
            *_, whole = network.intermediate_outputs(images).values()
        assert torch.equal(logits, whole)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_images_of_other_types_are_accepted(
    dtype: torch.dtype, int8_kernels: KernelLibrary
) -> None:
    network = int8_optimizer(int8_kernels).optimize(narrow("cifar_quick"))
    images = randn(2, 3, 32, 32).to(dtype)
    with torch.inference_mode():
        assert torch.equal(network(images), network(images.float()))


def test_torchs_default_type_and_device_do_not_matter(int8_kernels: KernelLibrary) -> None:
    network, images = narrow("cifar_quick"), randn(2, 3, 32, 32)
    optimizer = int8_optimizer(int8_kernels)
    with torch.inference_mode():
        expected = optimizer.optimize(network)(images)
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                found = optimizer.optimize(network)(images)
        finally:
            torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_an_optimized_network_is_copied_and_pickled(kernels: KernelLibrary) -> None:
    optimized = optimize_for_inference(narrow("alexnet"), "float32")
    images = randn(2, *optimized.architecture.input)
    content = pickle.dumps(optimized)
    with torch.inference_mode():
        expected = optimized(images)
        for other in (copy.deepcopy(optimized), pickle.loads(content)):
            assert torch.equal(other(images), expected)
    with (
        without_kernels(),
        pytest.raises(UsageError, match=r"another kind of CPU.*call optimized\(\) again"),
    ):
        pickle.loads(content)


def test_an_optimized_classifier_predicts_the_same(trained: RunFolder) -> None:
    classifier = load(trained.path)
    side = classifier.info.preprocessing.resize_size
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(3)]
    plain, fast = classifier.predict(images), classifier.optimized().predict(images)
    for one, other in zip(plain, fast, strict=True):
        assert one.top_classes[0].label == other.top_classes[0].label
        assert one.top_classes[0].probability == pytest.approx(
            other.top_classes[0].probability, abs=0.02
        )
