"""The convolution by blocks of pixels equals torch's, and is chosen on a CPU with AMX alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.network import Network, create_model
from alexnet.ops import pixel_blocks
from alexnet.ops.pixel_blocks import block_conv2d, should_use_blocks
from alexnet.ops.tracing import is_bf16_step
from support.convolutions import STRIDED
from support.kernels import randn
from support.narrow_nets import trunk


def outcome(convolve: Any, shape: dict[str, Any], dtype: torch.dtype, bias: bool) -> list[Tensor]:
    """The output and the gradients of weight and bias."""
    x = randn(2, shape["channels"], shape["side"], shape["side"] - 1).to(dtype)
    size = 6, shape["channels"], shape["kernel"], shape["kernel"]
    learnt = [randn(*size, seed=1).to(dtype).requires_grad_()]
    if bias:
        learnt.append(randn(6, seed=2).to(dtype).requires_grad_())
    stride, padding = (shape.get(key, default) for key, default in (("stride", 1), ("padding", 0)))
    y = convolve(x, learnt[0], learnt[1] if bias else None, (stride, stride), (padding, padding))
    return [y, *torch.autograd.grad(y.sin().sum(), learnt)]


@pytest.mark.parametrize("shape", STRIDED.values(), ids=STRIDED)
@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradients_equal_torchs(shape: dict[str, Any], bias: bool) -> None:
    found = outcome(block_conv2d, shape, torch.float64, bias)
    expected = outcome(F.conv2d, shape, torch.float64, bias)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_in_bf16_the_gradient_is_as_close_as_torchs() -> None:
    exact = outcome(F.conv2d, STRIDED["conv1"], torch.float64, bias=True)
    scale = exact[1].abs().max()
    found, torchs = (
        (outcome(convolve, STRIDED["conv1"], torch.bfloat16, bias=True)[1] - exact[1]).abs().max()
        for convolve in (block_conv2d, F.conv2d)
    )
    assert found < max(2 * torchs, scale / 100)


def test_autocast_leaves_float64_alone() -> None:
    expected = outcome(F.conv2d, STRIDED["conv1"], torch.float64, bias=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(block_conv2d, STRIDED["conv1"], torch.float64, bias=True)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    layer = nn.Linear(3, 4).double()
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_bf16_step(layer.weight, torch.zeros(2, 3, dtype=torch.float64))
        assert is_bf16_step(layer.weight, torch.zeros(2, 3))


def chosen(network: Network, dtype: torch.dtype) -> list[str]:
    """The layers that would use blocks, for inputs that need no gradient."""
    layers = [(n, m) for n, m in network.named_children() if isinstance(m, nn.Conv2d)]
    return [
        name
        for name, layer in layers
        if should_use_blocks(layer, torch.empty(1, layer.in_channels, 16, 16, dtype=dtype))
    ]


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CPU with AMX."""
    monkeypatch.setattr(pixel_blocks, "has_tiles", lambda: True)
    return None


@pytest.mark.usefixtures("tiles")
def test_the_first_layer_alone_uses_blocks_while_it_is_trained_in_bf16() -> None:
    network = trunk("alexnet")
    assert chosen(network, torch.bfloat16) == ["conv1"]
    assert chosen(network, torch.float32) == []
    with torch.no_grad():
        assert chosen(network, torch.bfloat16) == []
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen(network, torch.float32) == ["conv1"]
    images = torch.empty(1, 3, 16, 16, dtype=torch.bfloat16, requires_grad=True)
    assert not should_use_blocks(network.get_submodule("conv1"), images)  # type: ignore[arg-type]
    network.freeze_up_to("conv1")
    assert chosen(network, torch.bfloat16) == []


def test_without_tiles_no_layer_uses_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_blocks, "has_tiles", lambda: False)
    assert chosen(trunk("alexnet"), torch.bfloat16) == []


@pytest.mark.usefixtures("tiles")
def test_a_network_under_autocast_has_gradients_close_to_those_of_torchs_convolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = create_model("alexnet", width=0.1, input_size=131, num_classes=5)
    images = randn(4, 3, 131, 131)
    gradients = []
    for has_tiles in (True, False):
        monkeypatch.setattr(pixel_blocks, "has_tiles", lambda found=has_tiles: found)
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            network.eval()(images).square().sum().backward()
        conv1 = network.get_submodule("conv1")
        gradients.append([p.grad for p in conv1.parameters() if p.grad is not None])
    assert [g.dtype for g in gradients[0]] == [torch.float32] * 2
    for found, expected in zip(*gradients, strict=True):
        assert (found - expected).abs().max() < 0.02 * expected.abs().max()
        assert expected.abs().max() > 0
