"""Convolutions trained by AMX's tiles."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from alexnet.models import modules
from alexnet.models.network import Network, create_model
from alexnet.ops import pixel_blocks, tile_conv
from alexnet.ops.tile_conv import NARROW, should_use_tiles, tile_conv2d
from alexnet.ops.tile_gradients import has_tile_kernels
from support.kernels import randn, torch_threads, without_kernels
from support.narrow_nets import trunk

needs_tiles = pytest.mark.skipif(not has_tile_kernels(), reason="no kernels with AMX's tiles here")


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are kernels with tiles."""
    monkeypatch.setattr(tile_conv, "has_tile_kernels", lambda: True)


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
def test_layers_without_stride_use_tiles_while_they_are_trained_in_bf16() -> None:
    network = trunk("alexnet")
    assert chosen(network) == ["conv2", "conv3", "conv4", "conv5"]
    assert chosen(network, torch.float32) == []
    with torch.no_grad():
        assert chosen(network) == []
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen(network, torch.float32) == ["conv2", "conv3", "conv4", "conv5"]
    network.freeze_up_to("conv4")
    assert chosen(network) == ["conv5"]
    assert chosen(create_model("alexnet", width=0.05)) == []  # channels are not whole tiles


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (0, 32, 13, 13)),
        ({}, (1, 16, 13, 13)),
        ({}, (1, 64, 13, 13)),
        ({}, (1, 32, 13, 2)),
        ({}, (1, 32, 2, 13)),
        ({}, (32, 13, 13)),
        ({"padding": 3}, (1, 32, 13, 13)),  # zeros alone would be under the kernels
        ({"padding": "same"}, (1, 32, 13, 13)),
        ({"padding": 1, "padding_mode": "reflect"}, (1, 32, 13, 13)),
        ({"stride": 2}, (1, 32, 13, 13)),
        ({"dilation": 2}, (1, 32, 13, 13)),
    ],
)
def test_what_the_kernels_do_not_compute_is_left_to_torch(
    options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    plain = torch.empty(1, 32, 13, 13, dtype=torch.bfloat16)
    assert should_use_tiles(nn.Conv2d(32, 32, 3), plain)
    x = torch.empty(*shape, dtype=torch.bfloat16)
    assert not should_use_tiles(nn.Conv2d(32, 32, 3, **options), x)


@pytest.mark.usefixtures("tiles")
def test_torch_sees_its_own_operations_where_it_looks_at_them() -> None:
    layer, x = nn.Conv2d(32, 32, 3), torch.empty(1, 32, 13, 13, dtype=torch.bfloat16)
    seen = []

    def look(t: Tensor) -> Tensor:
        seen.append(should_use_tiles(layer, t))
        return t.sum()

    look(x)
    torch.func.grad(look)(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of `trace` itself
        torch.jit.trace(look, (x,), check_trace=False)
    with forward_ad.dual_level():
        look(x)
    with FlopCounterMode(display=False):
        look(x)
    with FakeTensorMode(allow_non_fake_inputs=True):
        look(x)
    assert seen == [True, False, False, False, False, False]


def test_without_kernels_no_layer_uses_tiles() -> None:
    with without_kernels():
        assert chosen(trunk("alexnet")) == []


SHAPES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "conv2": ({"in": 96, "out": 256, "kernel": 5, "padding": 2, "groups": 2}, (2, 27, 27)),
    "conv3": ({"in": 256, "out": 384, "kernel": 3, "padding": 1}, (2, 13, 13)),
    "blocks of conv1": ({"in": 48, "out": 96, "kernel": 3}, (1, 57, 57)),
    "not square, as many images as are copied at a time and one more": (
        {"in": 64, "out": 96, "kernel": (3, 2), "padding": (1, 0), "groups": 2}, (9, 7, 9),
    ),
    "half a block of outputs": ({"in": 32, "out": 48, "kernel": 1}, (5, 5, 4)),
    "one strip": ({"in": 32, "out": 16, "kernel": 3}, (1, 3, 12)),
    "zeros all around": ({"in": 16, "out": 16, "kernel": 3, "padding": 2}, (2, 5, 40)),
    "narrow": ({"in": 64, "out": 64, "kernel": 3, "padding": 1, "groups": 4}, (3, 2, 1)),
}  # fmt: skip


def layer_of(shape: dict[str, Any], bias: bool = True) -> nn.Conv2d:
    options = {"padding": 0, "groups": 1, **shape}
    channels, outputs, kernel = (options.pop(name) for name in ("in", "out", "kernel"))
    torch.manual_seed(0)
    return nn.Conv2d(channels, outputs, kernel, bias=bias, **options)


def outcome(convolve: Any, layer: nn.Conv2d, x: Tensor) -> list[Tensor]:
    """The output, and the gradients of inputs, weight and bias."""
    inputs = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y = convolve(inputs)
    (y.float() * randn(*y.shape, seed=2)).sum().backward()
    grads = [inputs.grad, *(p.grad for p in layer.parameters())]
    return [y, *(grad.clone() for grad in grads if grad is not None)]


def by_tiles(layer: nn.Conv2d, x: Tensor) -> Tensor:
    rows, columns = layer.padding  # type: ignore[misc]
    return tile_conv2d(x, layer.weight, layer.bias, (rows, columns), layer.groups)  # type: ignore[arg-type]


@needs_tiles
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("shape", "size"), SHAPES.values(), ids=SHAPES)
def test_output_and_gradients_are_those_of_torch(
    shape: dict[str, Any], size: tuple[int, int, int], threads: int
) -> None:
    layer = layer_of(shape)
    images, height, width = size
    x = randn(images, layer.in_channels, height, width)
    with torch_threads(threads):
        found = outcome(lambda t: by_tiles(layer, t), layer, x)
    expected = outcome(layer, layer, x)
    assert len(found) == len(expected) == 4
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 0.01 * other.abs().max()


@needs_tiles
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [9, NARROW + 3])
def test_a_layer_may_have_no_bias(width: int, dtype: torch.dtype) -> None:
    layer = layer_of({"in": 32, "out": 32, "kernel": 3}, bias=False)
    x = randn(2, 32, 5, width).to(dtype)
    found = outcome(lambda t: by_tiles(layer, t), layer, x)
    expected = outcome(layer, layer, x)
    assert len(found) == len(expected) == 3
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).abs().max() <= 0.01 * other.abs().max()


@needs_tiles
def test_neither_threads_nor_other_images_change_the_bits() -> None:
    layer = layer_of(SHAPES["conv3"][0])
    x = randn(9, layer.in_channels, 13, 13)
    with torch_threads(1):
        expected = outcome(lambda t: by_tiles(layer, t), layer, x)
    with torch_threads(3):
        found = outcome(lambda t: by_tiles(layer, t), layer, x)
    alone = outcome(lambda t: by_tiles(layer, t), layer, x[8:])[0]
    assert all(map(torch.equal, found, expected))
    assert torch.equal(alone, expected[0][8:])


@needs_tiles
@pytest.mark.parametrize("width", [9, NARROW + 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_torchs_default_type_and_device_do_not_matter(width: int, dtype: torch.dtype) -> None:
    layer, x = layer_of({"in": 32, "out": 32, "kernel": 3}), randn(2, 32, 5, width)
    grad = randn(2, 32, 3, width - 2).bfloat16()

    def gradients() -> tuple[Tensor, ...]:
        inputs = x.clone().requires_grad_()
        return torch.autograd.grad(by_tiles(layer, inputs), (inputs, *layer.parameters()), grad)

    expected = gradients()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            found = gradients()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, found, expected))


@needs_tiles
def test_the_bias_alone_may_be_learnt() -> None:
    layer, x = layer_of(SHAPES["conv3"][0]), randn(2, 256, 13, 13)
    layer.weight.requires_grad_(False)
    (found,) = torch.autograd.grad(by_tiles(layer, x).float().sin().sum(), [layer.bias])
    (expected,) = torch.autograd.grad(layer(x).sin().sum(), [layer.bias])
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.5)


@needs_tiles
def test_by_hand_it_refuses_what_it_cannot_compute() -> None:
    weight = randn(32, 32, 3, 3)
    with pytest.raises(ValueError, match=r"no convolution by tiles here of .* \(1, 16, 9, 9\)"):
        tile_conv2d(randn(1, 16, 9, 9), weight, None, (1, 1))
    with pytest.raises(ValueError, match=r"a bias of shape \(48,\) for 32 output channels"):
        tile_conv2d(randn(1, 32, 9, 9), weight, randn(48), (1, 1))
    with pytest.raises(ValueError, match=r"no convolution by tiles"):  # 33 in two groups
        tile_conv2d(randn(1, 64, 9, 9), randn(33, 32, 3, 3), None, (1, 1), 2)


@needs_tiles
def test_a_value_that_is_infinite_stays_under_its_own_kernels() -> None:
    layer = layer_of({"in": 48, "out": 16, "kernel": 3})
    x = randn(1, 48, 3, 20)
    expected = by_tiles(layer, x)
    x[0, 0, 0, 10] = float("inf")
    found = by_tiles(layer, x)
    assert torch.equal(found[..., :8], expected[..., :8])
    assert torch.equal(found[..., 11:], expected[..., 11:])
    assert not found[..., 8:11].isfinite().any()


@needs_tiles
def test_blocks_of_images_use_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(pixel_blocks, "tile_conv2d", lambda *x: called.append(x) or tile_conv2d(*x))
    network = create_model("alexnet", width=0.5, input_size=67, num_classes=3)
    with torch.autocast("cpu", torch.bfloat16):
        network.eval()(randn(2, 3, 67, 67)).sum().backward()
    assert [call[1].shape for call in called] == [(48, 48, 3, 3)]


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
