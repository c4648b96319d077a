"""What every network of the zoo can do, asked of each in one place.

The nets are narrow and see small images; drawn weights stand in for trained ones.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, save_model
from alexnet.config.recipe import Recipe
from alexnet.inference.classifier import Classifier, load
from alexnet.inference.optimize import optimize_for_inference
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network, channels_last
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from support.commands import Command
from support.kernels import randn
from support.slow import every_nth_fast

CLASSES = ("rose", "tulip", "daisy", "iris", "lily", "aster", "poppy")
SIDES = {"alexnet_notebook": 215, "alexnet_owt": 224, "lenet5": 32, "cifar_quick": 32}
"""Sides of the input in pixels; 67 for the others."""
EXPORTED = 1e-5
"""Largest difference of a logit after export, as a share of the largest logit: rounding of
float32 in another order. A file is refused at ten times this."""
EXACT_OPTIMIZED = 1e-4
"""The same, of a net prepared for inference in float32; Winograd's tiles cost the most."""
ROUNDED_OPTIMIZED = 0.1
"""The same, with layers rounded to int8 and bf16 where this processor has them; up to .085 in nets
so narrow, with other random weights."""

every_net = pytest.mark.parametrize("name", every_nth_fast(ZOO, n=2))


def narrow_table(name: str) -> Architecture:
    return variant(
        architecture(name),
        ModelOptions(width=0.05, input_size=SIDES.get(name, 67)),
        num_classes=len(CLASSES),
    )


@functools.cache
def network(name: str) -> Network:
    """The narrow net in evaluation mode, with statistics of batch norm that are not the first."""
    torch.manual_seed(0)
    net = channels_last(Network(narrow_table(name)))
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.endswith(".weight") and parameter.ndim > 1:  # logits of the order of 1
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5)
        net.train()(images(name, 8, seed=2))
    return net.eval()


def images(name: str, count: int, seed: int = 1) -> Tensor:
    """As far from the mean as pixels are, so that a response norm divides by more than k."""
    return 30 * randn(count, *narrow_table(name).input, seed=seed)


def classifier(name: str) -> Classifier:
    net = network(name)
    info = ModelInfo(
        architecture=net.architecture,
        class_names=CLASSES,
        preprocessing=published_preprocessing("published", net.architecture),
        recipe=Recipe(arch=name, precision="float32"),
    )
    return Classifier(net, info, precision="float32")


@torch.inference_mode()
def logits(net: torch.nn.Module, x: Tensor) -> Tensor:
    found: Tensor = net(x)
    return found.float()


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Within a share of the largest logit, and the logits are not all alike."""
    assert expected.std() > 0.1 * expected.abs().max()
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@every_net
def test_forward_gives_a_finite_logit_for_every_class(name: str) -> None:
    found = logits(network(name), images(name, 3))
    assert found.shape == (3, len(CLASSES))
    assert found.isfinite().all()
    assert not torch.equal(found[0], found[1])


@every_net
def test_every_parameter_gets_a_gradient(name: str) -> None:
    net = Network(narrow_table(name)).train()
    net.load_state_dict(network(name).state_dict())
    torch.manual_seed(0)  # of dropout
    F.cross_entropy(net(images(name, 14)), torch.arange(14) % len(CLASSES)).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


@every_net
def test_saved_and_loaded_it_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = classifier(name)
    save_model(tmp_path / "model.safetensors", whole.network.state_dict(), whole.info)
    back = load(tmp_path / "model.safetensors", device="cpu")
    assert back.info == whole.info
    own = whole.network.state_dict()
    loaded = back.network.state_dict()
    assert list(loaded) == list(own)
    assert all(torch.equal(own[key], loaded[key]) for key in own)
    x = images(name, 3)
    assert torch.equal(logits(back.network, x), logits(whole.network, x))


@pytest.mark.slow
@every_net
def test_exported_to_onnx_and_imported_it_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    report = export_model(classifier(name), tmp_path / "net.onnx", "onnx", batch_sizes=(2,))
    assert report.relative_difference < EXPORTED
    back = import_model(tmp_path / "net.onnx", name, class_names=CLASSES)
    assert back.info.architecture == narrow_table(name)
    net = Network(back.info.architecture)
    kept = net.load_state_dict(back.weights, strict=False)
    assert not kept.unexpected_keys
    assert all("num_batches_tracked" in key for key in kept.missing_keys)
    x = images(name, 3)
    assert_close(logits(net.eval(), x), logits(network(name), x), EXPORTED)


@every_net
def test_optimized_it_gives_nearly_the_same_logits(name: str) -> None:
    x = images(name, 9)
    expected = logits(network(name), x)
    exact = logits(optimize_for_inference(network(name), "float32", int8=False), x)
    assert_close(exact, expected, EXACT_OPTIMIZED)
    assert torch.equal(exact.argmax(1), expected.argmax(1))
    rounded = logits(optimize_for_inference(network(name)), x)
    assert_close(rounded, expected, ROUNDED_OPTIMIZED)


@every_net
def test_the_summary_counts_the_parameters_of_the_module(name: str, command: Command) -> None:
    with torch.device("meta"):
        net = Network(architecture(name))
    state = net.state_dict()
    stored = sum(t.numel() for key, t in state.items() if "num_batches" not in key)
    told = command("summary", name, "--json")
    assert told.code == 0
    assert json.loads(told.out)["totals"]["parameters"] == stored
    assert sum(info.parameters for info in architecture(name).layer_infos()) == stored
