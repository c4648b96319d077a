"""A network trained in fewer passes has the outputs and gradients of its layers, one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from alexnet.models import forward
from alexnet.models.modules import ResponseNorm
from alexnet.models.network import Network, channels_last
from alexnet.ops.batch_norm_relu_pool import batch_norm_relu_pool
from support.kernels import needs_kernels, randn
from support.narrow_nets import narrow_classifier

PASSES = {
    "alexnet": 3,
    "alexnet_bn": 3,
    "alexnet_2012": 1,
    "alexnet_owt": 3,
    "caffenet": 3,
    "lenet5": 0,
}
"""In how many places ReLU and pooling are one pass."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The windows of the passes that are made."""
    windows: list[int] = []
    original = forward.relu_norm_pool

    def counting(x: Tensor, norm: object, window: int, stride: int) -> Tensor:
        windows.append(window)
        return original(x, norm, window, stride)  # type: ignore[arg-type]

    monkeypatch.setattr(forward, "relu_norm_pool", counting)
    return windows


def outcome(network: Network, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits and the gradients of all parameters."""
    network.zero_grad()
    logits = network(images)
    logits.square().sum().backward()
    return logits, [p.grad for p in network.parameters() if p.grad is not None]


@needs_kernels
@pytest.mark.parametrize("name", PASSES)
def test_outputs_and_gradients_are_those_of_the_layers(name: str, counted: list[int]) -> None:
    network = channels_last(narrow_classifier(name).network).eval()
    images = randn(2, *network.architecture.input).contiguous(memory_format=torch.channels_last)
    logits, gradients = outcome(network, images)
    assert len(counted) == PASSES[name]
    handles = [
        layer.register_forward_hook(lambda *_: None)
        for layer in network.modules()
        if isinstance(layer, nn.ReLU)
    ]
    expected, expected_gradients = outcome(network, images)
    assert len(counted) == PASSES[name], "a layer that is looked at is computed by itself"
    assert torch.equal(logits, expected)
    assert len(gradients) == len(expected_gradients) > 0
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-4 * gradient.abs().max())
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        network(images)
    assert len(counted) == PASSES[name], "without gradients nothing has to be kept"


@needs_kernels
def test_hooks_of_every_kind_see_their_layer(counted: list[int]) -> None:
    network = channels_last(narrow_classifier("alexnet").network).eval()
    images = randn(1, *network.architecture.input)
    seen: list[str] = []
    for register in ("register_forward_pre_hook", "register_full_backward_hook"):
        for name in ("relu1", "norm2", "pool5"):
            layer = network.get_submodule(name)
            getattr(layer, register)(lambda *_, name=name: seen.append(name))
    outcome(network, images)
    assert not counted
    assert sorted(seen) == sorted(2 * ["relu1", "norm2", "pool5"])


class Clipped(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 0.01)


class MinPool(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(-x)


class HalfNorm(ResponseNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


def plus_one(layer: nn.Module) -> None:
    """A forward pass of its own, patched on the layer."""
    original = layer.forward
    layer.forward = lambda x: original(x) + 1  # type: ignore[method-assign]


@needs_kernels
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize(
    ("name", "layer", "new"),
    [
        ("alexnet", "relu1", Clipped()),
        ("alexnet", "relu5", Clipped()),
        ("alexnet", "norm2", HalfNorm()),
        ("alexnet", "pool5", MinPool(3, 2)),
        ("alexnet_bn", "relu3", Clipped()),
        ("alexnet_bn", "pool1", MinPool(3, 2)),
        *(("alexnet", layer, plus_one) for layer in ("conv1", "relu1", "norm1", "pool1", "relu6")),
        *(("alexnet_bn", layer, plus_one) for layer in ("bn1", "relu1", "pool1", "bn3")),
    ],
)
def test_a_layer_with_a_forward_pass_of_its_own_is_called(
    name: str, layer: str, new: nn.Module | Callable[[nn.Module], None], is_training: bool
) -> None:
    network = channels_last(narrow_classifier(name).network).train(is_training)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    if isinstance(new, nn.Module):
        setattr(network, layer, new.train(is_training))
    else:
        new(network.get_submodule(layer))
    other = copy.deepcopy(network)
    images = randn(4, *network.architecture.input).contiguous(memory_format=torch.channels_last)
    expected = list(other.intermediate_outputs(images).values())[-1]
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("kind", [nn.ReLU, nn.BatchNorm2d, nn.MaxPool2d])
def test_a_patched_class_is_called(kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    network = channels_last(narrow_classifier("alexnet_bn").network).train()
    images = randn(4, *network.architecture.input).contiguous(memory_format=torch.channels_last)
    calls, original = [], kind.forward

    def counting(layer: nn.Module, x: Tensor) -> Tensor:
        calls.append(layer)
        return original(layer, x)  # type: ignore[no-any-return]

    monkeypatch.setattr(kind, "forward", counting)
    network(images)
    assert calls == [layer for layer in network.modules() if isinstance(layer, kind)]


@needs_kernels
def test_batch_norm_is_in_one_pass_while_its_statistics_are_of_the_batch(
    counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[tuple[int, ...]] = []

    def counting(x: Tensor, norm: nn.BatchNorm2d, *window: int) -> Tensor:
        windows.append(window)
        return batch_norm_relu_pool(x, norm, *window)

    monkeypatch.setattr(forward, "batch_norm_relu_pool", counting)
    network = channels_last(narrow_classifier("alexnet_bn").network).train()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    other = copy.deepcopy(network)
    images = randn(6, *network.architecture.input).contiguous(memory_format=torch.channels_last)
    logits, gradients = outcome(network, images)
    assert windows == [(3, 2), (3, 2), (), (), (3, 2)]
    assert not counted
    for layer in other.modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda *_: None)
    expected, expected_gradients = outcome(other, images)
    assert len(windows) == 5, "a layer that is looked at is computed by itself"
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    largest = max(float(gradient.abs().max()) for gradient in expected_gradients)
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-5 * largest)
    for name, buffer in other.named_buffers():
        torch.testing.assert_close(network.get_buffer(name), buffer, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 0), (0, 2), (-1, 2)])
def test_torch_says_what_is_wrong_with_a_pooling(kernel_size: int, stride: int) -> None:
    network = channels_last(narrow_classifier("alexnet").network).train()
    network.pool1.kernel_size, network.pool1.stride = kernel_size, stride
    with pytest.raises(RuntimeError, match=r"stride|kernel"):
        network(randn(2, *network.architecture.input))
