"""The torch module of every layer type, against torch's own, and initial weights."""

from __future__ import annotations

import math

import pytest
import torch
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


def layer_info(layer: Layer, *shape: int) -> LayerInfo:
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
    ours = build_module(layer_info(layer, 6, 10, 10))
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
    ours = build_module(layer_info(layer, 6))
    ours.load_state_dict(expected.state_dict())
    x = draw(5, 6, dtype=torch.float32)
    assert torch.equal(ours(x), expected(x))
    assert str(ours) == str(expected)


def test_modules_of_the_norms_use_their_constants() -> None:
    x = draw(1, 8, 6, 6, scale=30)
    across = build_module(layer_info(ResponseNorm("n", 3, 0.02, 0.6, 1.5, groups=2), 8, 6, 6))
    assert torch.equal(across(x), response_norm(x, 3, 0.02, 0.6, 1.5, groups=2))
    inside = build_module(layer_info(WithinChannelLRN("m", 3, 0.02, 0.6, 1.5), 8, 6, 6))
    assert torch.equal(inside(x), within_channel_lrn(x, 3, 0.02, 0.6, 1.5))
    assert repr(across) == "ResponseNorm(size=3, alpha=0.02, beta=0.6, k=1.5, groups=2)"


def test_dropout_scales_in_training_and_does_nothing_in_evaluation() -> None:
    torch.manual_seed(0)
    drop = build_module(layer_info(Dropout("d", 0.25), 4000))
    x = torch.ones(10, 4000)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(drop.eval()(x), x)


def test_extra_padding_is_zeros_at_the_right_and_bottom() -> None:
    layer = Conv("c", 4, 5, stride=4, extra_padding=3)
    conv = build_module(layer_info(layer, 3, 14, 14))
    x = draw(2, 3, 14, 14, dtype=torch.float32)
    wide = torch.zeros(2, 3, 17, 17)
    wide[:, :, :14, :14] = x
    assert isinstance(conv, nn.Conv2d)
    expected = nn.functional.conv2d(wide, conv.weight, conv.bias, stride=4)
    assert expected.shape[2:] == (4, 4)
    assert torch.allclose(conv(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": (1, 1)},
        {"padding": "same"},
        {"stride": (2, 2)},
        {"padding_mode": "circular", "_reversed_padding_repeated_twice": [5, 5, 5, 5]},
        {"_conv_forward": lambda x, weight, bias: nn.functional.conv2d(x, 2 * weight, bias)},
    ],
)
def test_settings_that_were_changed_later(settings: dict[str, object]) -> None:
    """Also for a batch that would be computed by FFT."""
    conv = build_module(layer_info(Conv("c", 4, 11, padding=5), 3, 14, 14))
    x = draw(16, 3, 14, 14, dtype=torch.float32)
    vars(conv).update(settings)
    with torch.no_grad():
        expected = nn.Conv2d.forward(conv, x)  # type: ignore[arg-type]
    assert torch.equal(conv(x), expected)


def test_flatten_orders() -> None:
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    chw = build_module(layer_info(Flatten("v"), 3, 2, 2))(x)
    hwc = build_module(layer_info(Flatten("v", "hwc"), 3, 2, 2))(x)
    assert chw.tolist() == [list(range(12))]
    assert hwc.tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    last = x.contiguous(memory_format=torch.channels_last)
    assert build_module(layer_info(Flatten("v"), 3, 2, 2))(last).tolist() == chw.tolist()


def test_a_layer_without_a_module() -> None:
    with pytest.raises(TypeError, match="no torch module for Layer"):
        build_module(layer_info(Layer("nothing"), 3, 2, 2))


WEIGHT = nn.Conv2d(8, 64, 5, groups=2)
"""Each output sees 4 x 25 inputs; Glorot counts 64 x 25 outputs, as torch and Keras do."""


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (Init("normal", 0.03, bias=1.0), 0.03),
        (Init("he_normal", bias=0.5), math.sqrt(2 / 100)),
        (Init("glorot_uniform", bias=0.0), math.sqrt(2 / (100 + 1600))),
    ],
)
def test_initial_weights(init: Init, std: float) -> None:
    torch.manual_seed(0)
    init_weights(WEIGHT, init)
    # 6,400 values: the standard error of their std is 0.9 %, of their mean std / 80.
    weight = WEIGHT.weight.detach()
    assert float(weight.std()) == pytest.approx(std, rel=0.03)
    assert abs(float(weight.mean())) < 4 * std / 80
    beyond = float((weight.abs() > math.sqrt(3) * std * 1.0001).float().mean())
    # A uniform distribution ends at sqrt(3) std; 8.3 % of a normal one are beyond.
    assert beyond == (0 if init.kind == "glorot_uniform" else pytest.approx(0.083, abs=0.015))
    assert WEIGHT.bias is not None
    assert WEIGHT.bias.unique().tolist() == [init.bias]


def test_initial_weights_of_torch() -> None:
    torch.manual_seed(3)
    expected = nn.Linear(20, 30)
    layer = nn.Linear(20, 30)
    torch.manual_seed(3)
    init_weights(layer, Init("torch", bias=5.0))
    assert torch.equal(layer.weight, expected.weight)
    assert torch.equal(layer.bias, expected.bias)


def test_initial_weights_without_a_bias() -> None:
    layer = nn.Linear(20, 30, bias=False)
    init_weights(layer, Init("normal", 0.0))
    assert not layer.weight.any()
