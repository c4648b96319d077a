"""Both norms by hand, against torch and by finite differences; the module of a row."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from alexnet.models.architecture import LayerInfo
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.models.modules import build_module, init_weights
from alexnet.ops.norms import response_norm, within_channel_lrn


def draw(*shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return scale * torch.randn(shape, generator=generator, dtype=dtype)


def column(*values: float) -> Tensor:
    """One pixel with these maps."""
    return torch.tensor(values, dtype=torch.float64)[None, :, None, None]


@pytest.mark.parametrize(
    ("size", "energies"),
    [
        # Squares 1 4 9 16 25 36; two maps to each side, cut off at the first and the last map.
        (5, [14, 30, 55, 90, 86, 77]),
        (3, [5, 14, 29, 50, 77, 61]),
        (1, [1, 4, 9, 16, 25, 36]),
        # Even: two maps back and one forward.
        (4, [5, 14, 30, 54, 86, 77]),
        (99, [91] * 6),
    ],
)
@pytest.mark.parametrize("beta", [0.75, 1.0, 0.5])
def test_response_norm_by_hand(size: int, energies: list[int], beta: float) -> None:
    found = response_norm(column(1, 2, 3, 4, 5, 6), size, alpha=0.1, beta=beta, k=2.0).flatten()
    expected = [(i + 1) / (2 + 0.1 * energy) ** beta for i, energy in enumerate(energies)]
    assert found.tolist() == pytest.approx(expected, rel=1e-13)


def test_response_norm_defaults_are_the_papers() -> None:
    found = float(response_norm(column(100.0)).item())
    assert found == pytest.approx(100 / (2 + 1e-4 * 100**2) ** 0.75, rel=1e-13)


def test_response_norm_columns_by_hand() -> None:
    found = response_norm(column(1, 2, 3, 4, 5, 6), 3, alpha=1.0, beta=1.0, k=0.0, groups=2)
    energies = [5, 14, 13, 41, 77, 61]
    assert found.flatten().tolist() == pytest.approx([(i + 1) / e for i, e in enumerate(energies)])


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_columns_are_each_computed_alone(groups: int) -> None:
    x = draw(2, 16, 5, 4, scale=20)
    alone = [response_norm(part, alpha=0.01) for part in x.chunk(groups, 1)]
    together = response_norm(x, alpha=0.01, groups=groups)
    assert torch.allclose(together, torch.cat(alone, 1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize(
    ("alpha", "beta", "k"), [(1e-4, 0.75, 2.0), (2e-5, 0.75, 1.0), (0.1, 0.6, 3.0)]
)
def test_response_norm_is_torchs_with_alpha_times_size(
    size: int, alpha: float, beta: float, k: float
) -> None:
    x = draw(2, 12, 4, 3, scale=100, dtype=torch.float32)
    torchs = nn.LocalResponseNorm(size, alpha * size, beta, k)(x)
    assert torch.allclose(response_norm(x, size, alpha, beta, k), torchs, rtol=1e-6, atol=1e-6)


@given(st.integers(1, 9), st.integers(1, 12), st.floats(0.1, 2.0))
def test_response_norm_shrinks_and_keeps_signs(size: int, maps: int, beta: float) -> None:
    x = draw(1, maps, 2, 2, scale=50)
    y = response_norm(x, size, beta=beta, k=1.0)
    assert bool((y.abs() <= x.abs()).all())
    assert torch.equal(y.sign(), x.sign())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_response_norm_gradient(groups: int, beta: float) -> None:
    x = draw(2, 6, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda t: response_norm(t, 3, alpha=0.3, beta=beta, k=1.0, groups=groups), x
    )


def test_response_norm_columns_must_divide() -> None:
    with pytest.raises(ValueError, match=r"^5 maps cannot be split into 2 groups"):
        response_norm(draw(1, 5, 2, 2), groups=2)


def naive_map_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    reach, y = size // 2, torch.zeros_like(x)
    height, width = x.shape[2:]
    for i in range(height):
        for j in range(width):
            window = x[:, :, max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1]
            energy = window.square().sum((2, 3))
            y[:, :, i, j] = x[:, :, i, j] / (k + alpha * energy) ** beta
    return y


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_map_norm_is_the_naive_loop(size: int, beta: float) -> None:
    x = draw(2, 3, 7, 6, scale=10)
    found = within_channel_lrn(x, size, alpha=0.05, beta=beta, k=1.5)
    expected = naive_map_norm(x, size, alpha=0.05, beta=beta, k=1.5)
    assert torch.allclose(found, expected, rtol=1e-12, atol=0)


def test_map_norm_defaults_are_net_145s() -> None:
    x = draw(1, 2, 6, 6, scale=100)
    expected = naive_map_norm(x, 5, alpha=1e-3 / 25, beta=0.75, k=1.0)
    assert torch.allclose(within_channel_lrn(x), expected, rtol=1e-12, atol=0)


def test_map_norm_gradient() -> None:
    x = draw(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: within_channel_lrn(t, 3, alpha=0.3), x)


NORMS = pytest.mark.parametrize("norm", [response_norm, within_channel_lrn])


@NORMS
@pytest.mark.parametrize("is_autocast", [False, True])
def test_bf16_is_widened_inside(norm: Any, is_autocast: bool) -> None:
    """bf16 comes out, rounded once from what float32 gives."""
    x = draw(2, 16, 6, 6, scale=60).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
        y = norm(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, norm(x.float()).bfloat16())


@NORMS
def test_autocast_leaves_float32_alone(norm: Any) -> None:
    """A sum of squares in bf16 would be off by 4e-3."""
    x = draw(2, 16, 6, 6, scale=60, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, norm(x))
    assert torch.allclose(y.double(), norm(x.double()), rtol=2e-6, atol=0)


@NORMS
def test_memory_formats_give_the_same(norm: Any) -> None:
    x = draw(2, 16, 6, 5, scale=60, dtype=torch.float32)
    last = x.contiguous(memory_format=torch.channels_last)
    y = norm(last)
    assert torch.allclose(norm(x), y, rtol=1e-6, atol=0)
    assert y.is_contiguous(memory_format=torch.channels_last)


@NORMS
def test_input_is_left_as_it_was(norm: Any) -> None:
    x = draw(1, 8, 4, 4, scale=60)
    before = x.clone()
    norm(x)
    assert torch.equal(x, before)


def row(layer: Layer, *shape: int) -> LayerInfo:
    return LayerInfo(layer, shape, layer.output(shape), 0, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Conv("c", 8, 5, stride=2, padding=1, groups=2), nn.Conv2d(6, 8, 5, 2, 1, groups=2)),
        (Conv("c", 8, 5, bias=False), nn.Conv2d(6, 8, 5, bias=False)),
        (Activation("a"), nn.ReLU()),
        (Activation("a", "tanh"), nn.Tanh()),
        (Activation("a", "sigmoid"), nn.Sigmoid()),
        (BatchNorm("b", 1e-3, 0.01), nn.BatchNorm2d(6, eps=1e-3, momentum=0.01)),
        (Pool("p", 3, 2), nn.MaxPool2d(3, 2)),
        (Pool("p", 3, 2, ceil=True), nn.MaxPool2d(3, 2, ceil_mode=True)),
        (Pool("p", 3, 2, ceil=True, reduce="average"), nn.AvgPool2d(3, 2, ceil_mode=True)),
        (AdaptivePool("p", 4), nn.AdaptiveAvgPool2d(4)),
        (AdaptivePool("p", 4, "max"), nn.AdaptiveMaxPool2d(4)),
    ],
)
def test_module_is_torchs(layer: Layer, expected: nn.Module) -> None:
    ours = build_module(row(layer, 6, 10, 10))
    ours.load_state_dict(expected.state_dict())
    x = draw(3, 6, 10, 10, dtype=torch.float32)
    assert torch.equal(ours(x), expected(x))  # in training mode, where batch norm uses the batch
    assert str(ours).split("(", 1)[1] == str(expected).split("(", 1)[1]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (FullyConnected("f", 3), nn.Linear(6, 3)),
        (FullyConnected("f", 3, bias=False), nn.Linear(6, 3, bias=False)),
        (BatchNorm("b", 1e-3, 0.01), nn.BatchNorm1d(6, eps=1e-3, momentum=0.01)),
    ],
)
def test_module_of_a_vector(layer: Layer, expected: nn.Module) -> None:
    ours = build_module(row(layer, 6))
    ours.load_state_dict(expected.state_dict())
    x = draw(5, 6, dtype=torch.float32)
    assert torch.equal(ours(x), expected(x))
    assert str(ours) == str(expected)


def test_modules_of_the_norms_use_their_rows_constants() -> None:
    x = draw(1, 8, 6, 6, scale=30)
    across = build_module(row(ResponseNorm("n", 3, 0.02, 0.6, 1.5, groups=2), 8, 6, 6))
    assert torch.equal(across(x), response_norm(x, 3, 0.02, 0.6, 1.5, groups=2))
    inside = build_module(row(WithinChannelLRN("m", 3, 0.02, 0.6, 1.5), 8, 6, 6))
    assert torch.equal(inside(x), within_channel_lrn(x, 3, 0.02, 0.6, 1.5))
    assert "alpha=0.02" in repr(across)


def test_dropout_scales_in_training_and_rests_in_evaluation() -> None:
    torch.manual_seed(0)
    drop = build_module(row(Dropout("d", 0.25), 4000))
    x = torch.ones(10, 4000)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(drop.eval()(x), x)


def test_end_padding_is_zeros_at_the_right_and_bottom() -> None:
    layer = Conv("c", 4, 5, stride=4, extra_padding=3)
    conv = build_module(row(layer, 3, 14, 14))
    x = draw(2, 3, 14, 14, dtype=torch.float32)
    wide = torch.zeros(2, 3, 17, 17)
    wide[:, :, :14, :14] = x
    assert isinstance(conv, nn.Conv2d)
    expected = nn.functional.conv2d(wide, conv.weight, conv.bias, stride=4)
    assert expected.shape[2:] == (4, 4)
    assert torch.allclose(conv(x), expected, rtol=1e-6, atol=1e-6)


def test_flatten_orders() -> None:
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    chw = build_module(row(Flatten("v"), 3, 2, 2))(x)
    hwc = build_module(row(Flatten("v", "hwc"), 3, 2, 2))(x)
    assert chw.tolist() == [list(range(12))]
    assert hwc.tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    last = x.contiguous(memory_format=torch.channels_last)
    assert build_module(row(Flatten("v"), 3, 2, 2))(last).tolist() == chw.tolist()


def test_a_layer_without_a_module() -> None:
    with pytest.raises(TypeError, match="no torch module for Layer"):
        build_module(row(Layer("nothing"), 3, 2, 2))


WEIGHT = nn.Conv2d(8, 64, 5, groups=2)
"""Each output sees 4 x 25 inputs; Glorot counts 64 x 25 outputs, as torch and Keras do."""


@pytest.mark.parametrize(
    ("init", "sd"),
    [
        (Init("normal", 0.03, bias=1.0), 0.03),
        (Init("he_normal", bias=0.5), math.sqrt(2 / 100)),
        (Init("glorot_uniform", bias=0.0), math.sqrt(2 / (100 + 1600))),
    ],
)
def test_first_values(init: Init, sd: float) -> None:
    torch.manual_seed(0)
    init_weights(WEIGHT, init)
    # 6,400 values: the deviation of their deviation is 0.9 %, of their mean sd / 80.
    weight = WEIGHT.weight.detach()
    assert float(weight.std()) == pytest.approx(sd, rel=0.03)
    assert abs(float(weight.mean())) < 4 * sd / 80
    beyond = float((weight.abs() > math.sqrt(3) * sd * 1.0001).float().mean())
    # A uniform draw ends at sqrt(3) deviations; of a normal one 8.3 % lie beyond.
    assert beyond == (0 if init.kind == "glorot_uniform" else pytest.approx(0.083, abs=0.015))
    assert WEIGHT.bias is not None
    assert WEIGHT.bias.unique().tolist() == [init.bias]


def test_first_values_of_torch() -> None:
    torch.manual_seed(3)
    expected = nn.Linear(20, 30)
    layer = nn.Linear(20, 30)
    torch.manual_seed(3)
    init_weights(layer, Init("torch", bias=5.0))
    assert torch.equal(layer.weight, expected.weight)
    assert torch.equal(layer.bias, expected.bias)


def test_first_values_without_a_bias() -> None:
    layer = nn.Linear(20, 30, bias=False)
    init_weights(layer, Init("normal", 0.0))
    assert not layer.weight.any()
