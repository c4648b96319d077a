"""The rewritten convolutions equal torch's, with their gradients; on a GPU they are chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.benchmark.throughput import random_images
from alexnet.models.network import create_model
from alexnet.ops.gpu_conv import gpu_conv2d, should_rewrite, without_groups
from support.convolutions import STRIDED
from support.narrow_nets import trunk

SHAPES: dict[str, dict[str, Any]] = {
    **STRIDED,
    "two groups": {"channels": 6, "side": 9, "kernel": 3, "padding": 1, "groups": 2},
    "two groups and a stride": {"channels": 4, "side": 17, "kernel": 3, "stride": 2, "groups": 2},
    "three groups": {"channels": 6, "side": 5, "kernel": 3, "groups": 3},
    "neither": {"channels": 5, "side": 9, "kernel": 3, "stride": 2},
}


def outcome(convolve: Any, shape: dict[str, Any], memory_format: Any) -> list[Tensor]:
    """The output and the gradients of input, weight and bias."""
    torch.manual_seed(0)
    groups, stride, padding = (
        shape.get(k, d) for k, d in (("groups", 1), ("stride", 1), ("padding", 0))
    )
    x = torch.randn(2, shape["channels"], shape["side"], shape["side"] - 1, dtype=torch.float64)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    size = 6, shape["channels"] // groups, shape["kernel"], shape["kernel"]
    weight = torch.randn(size, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
    y = convolve(x, weight, bias, (stride, stride), (padding, padding), groups=groups)
    return [y, *torch.autograd.grad(y.sin().sum(), (x, weight, bias))]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_rewritten_convolution_equals_torchs(shape: dict[str, Any], memory_format: Any) -> None:
    found = outcome(gpu_conv2d, shape, memory_format)
    expected = outcome(F.conv2d, shape, memory_format)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_other_groups_have_zeros() -> None:
    weight = torch.arange(1.0, 9).reshape(4, 2, 1, 1)
    expected = [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]
    assert without_groups(weight, 2)[:, :, 0, 0].tolist() == expected
    assert without_groups(weight, 1) is weight


def test_no_layer_is_rewritten_on_the_cpu() -> None:
    convolutions = [m for m in trunk("alexnet").modules() if isinstance(m, nn.Conv2d)]
    inputs = [torch.empty(1, layer.in_channels, 9, 9).bfloat16() for layer in convolutions]
    assert len(convolutions) == 5
    assert not any(map(should_rewrite, convolutions, inputs))


@pytest.mark.slow
def test_logits_of_a_network_of_rewritten_layers_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    network = create_model("alexnet").double().eval()
    images = torch.randn(1, 3, 227, 227, dtype=torch.float64)
    expected = network(images)
    calls: list[int] = []

    def rewrite(layer: nn.Conv2d, x: Tensor) -> bool:
        calls.append(layer.groups)
        return True

    monkeypatch.setattr("alexnet.models.modules.should_rewrite", rewrite)
    torch.testing.assert_close(network(images), expected, rtol=1e-10, atol=1e-10)
    assert calls == [1, 2, 1, 2, 2]


@pytest.mark.gpu
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_gpu_rewrites_strides_and_groups_in_half_types_alone(half: torch.dtype) -> None:
    network = create_model("alexnet", device="cuda")
    chosen = {}
    for dtype in (half, torch.float32):
        for name, layer in network.named_children():
            if isinstance(layer, nn.Conv2d):
                x = torch.empty(1, layer.in_channels, 16, 16, device="cuda", dtype=dtype)
                chosen[name, dtype] = should_rewrite(layer, x)
    assert [name for (name, _), is_chosen in chosen.items() if is_chosen] == [
        "conv1",
        "conv2",
        "conv4",
        "conv5",
    ]
    assert not any(chosen[name, dtype] for name, dtype in chosen if dtype == torch.float32)


@pytest.mark.gpu
@torch.no_grad()
@pytest.mark.parametrize("name", ["alexnet", "alexnet_bn", "alexnet_owt"])
def test_rewritten_layers_are_as_exact_as_cudnns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = create_model(name, device="cuda").eval()
    images = random_images(network.architecture, 8, torch.device("cuda"))
    exact = network.double()(images.double())
    network.float()

    def error() -> float:
        with torch.autocast("cuda", torch.bfloat16):
            logits: Tensor = network(images)
        return float((logits - exact).norm() / exact.norm())

    rewritten = error()
    monkeypatch.setattr("alexnet.models.modules.should_rewrite", lambda layer, x: False)
    assert rewritten < 1.2 * error()
    assert rewritten < 0.02
