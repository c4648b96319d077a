"""Convolutions of narrow maps, trained with gradients by AMX's tiles."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alexnet.models import modules
from alexnet.models.network import Network, create_model
from alexnet.ops import tile_conv
from alexnet.ops.tile_conv import should_use_tiles, tile_conv2d
from alexnet.ops.tile_gradients import has_tile_gradients
from support.kernels import randn, without_kernels

needs_tiles = pytest.mark.skipif(
    not has_tile_gradients(), reason="no kernels with AMX's tiles here"
)


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are kernels with tiles."""
    monkeypatch.setattr(tile_conv, "has_tile_gradients", lambda: True)


def chosen(network: Network, dtype: torch.dtype = torch.bfloat16) -> list[str]:
    """The layers that would use tiles."""
    sizes = {info.layer.name: info.input for info in network.architecture.layer_infos()}
    return [
        name
        for name, layer in network.named_children()
        if isinstance(layer, nn.Conv2d)
        and should_use_tiles(layer, torch.empty(1, *sizes[name], dtype=dtype))
    ]


@pytest.mark.usefixtures("tiles")
def test_layers_of_narrow_maps_use_tiles_while_they_are_trained_in_bf16() -> None:
    network = create_model("alexnet")
    assert chosen(network) == ["conv3", "conv4", "conv5"]
    assert chosen(network, torch.float32) == []
    with torch.no_grad():
        assert chosen(network) == []
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen(network, torch.float32) == ["conv3", "conv4", "conv5"]
    network.freeze_up_to("conv4")
    assert chosen(network) == ["conv5"]
    assert chosen(create_model("alexnet", width=0.05)) == []  # channels are not whole tiles
    layer = nn.Conv2d(32, 32, 3, padding=1)
    assert not should_use_tiles(layer, torch.empty(0, 32, 13, 13, dtype=torch.bfloat16))


def test_without_kernels_no_layer_uses_tiles() -> None:
    with without_kernels():
        assert chosen(create_model("alexnet")) == []


@needs_tiles
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_and_gradients_are_those_of_torch(bias: bool, dtype: torch.dtype) -> None:
    layer = nn.Conv2d(64, 96, 3, padding=1, groups=2, bias=bias)
    x = randn(3, 64, 7, 9).to(dtype)

    def outcome(convolve: Any, device_type: str = "cpu") -> list[Tensor]:
        inputs = x.clone().requires_grad_()
        layer.zero_grad()
        with torch.autocast(device_type, torch.bfloat16):
            y = convolve(inputs)
        (y.float() * randn(*y.shape, seed=2)).sum().backward()
        grads = [inputs.grad, *(p.grad for p in layer.parameters())]
        return [y, *(grad.clone() for grad in grads if grad is not None)]

    found = outcome(lambda t: tile_conv2d(t, layer.weight, layer.bias, (1, 1), 2))
    expected = outcome(layer)
    assert len(found) == len(expected) == 3 + bias
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).abs().max() <= 0.01 * other.abs().max()
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@needs_tiles
def test_the_gradients_of_a_network_are_close_to_torchs_and_no_less_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = create_model("alexnet", width=0.25, input_size=131, num_classes=5).eval()
    images = randn(8, 3, 131, 131)

    def gradients(has_tiles: bool, dtype: torch.dtype) -> dict[str, Tensor]:
        monkeypatch.setattr(modules, "should_use_tiles", lambda *x: has_tiles and chooses(*x))
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            network(images).square().sum().backward()
        return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}

    chooses = should_use_tiles
    exact = gradients(False, torch.float32)
    found, torchs = (gradients(has_tiles, torch.bfloat16) for has_tiles in (True, False))
    for name in ("conv3.weight", "conv4.weight", "conv5.weight", "conv4.bias"):
        error, usual = ((g[name] - exact[name]).norm() for g in (found, torchs))
        assert not torch.equal(found[name], torchs[name])
        assert error < 1.05 * usual
