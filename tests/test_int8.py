"""Layers of bytes give what their rounded weights and inputs give."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference import optimized_network
from alexnet.int8 import (
    LARGEST_WEIGHTS_ONLY_BATCH,
    Int8Conv,
    Int8Linear,
    SmallLinear,
    multiplies_bytes,
    row_bytes,
)
from alexnet.kernels import BLOCK, kernels
from alexnet.network import create_model
from drawn import built, draw, has_kernels

has_int8 = pytest.mark.skipif(
    kernels() is None or not multiplies_bytes(), reason="no products of bytes here"
)


@has_kernels
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_weights_of_one_byte_by_the_definition(batch: int) -> None:
    layer, x = nn.Linear(192, 10), draw(batch, 192)
    with torch.no_grad():
        found = SmallLinear(layer, layer, built())(x)
        blocks = layer.weight.reshape(10, 3, 64).double()
        scales = blocks.abs().amax(2, keepdim=True) / 127
        rounded = ((blocks / scales).round() * scales).reshape(10, 192)
        assert (rounded - layer.weight).abs().max() <= scales.max() / 2 * 1.001
        torch.testing.assert_close(
            found.double(), F.linear(x.double(), rounded, layer.bias.double()), rtol=1e-5, atol=1e-5
        )


@has_kernels
def test_large_batches_read_the_whole_weights() -> None:
    layer = nn.Linear(64, 5)
    small, x = SmallLinear(layer, layer, built()), draw(LARGEST_WEIGHTS_ONLY_BATCH + 1, 64)
    assert torch.equal(small(x), layer(x))
    assert not torch.equal(small(x[:-1]), layer(x[:-1]))


@has_kernels
def test_weights_of_zero_give_the_bias() -> None:
    layer = nn.Linear(64, 5)
    nn.init.zeros_(layer.weight)
    small = SmallLinear(layer, layer, built())
    assert torch.equal(small(draw(2, 64)), layer.bias.expand(2, 5))


def rounded(weight: Tensor) -> Tensor:
    """What `row_bytes` leaves of weights."""
    whole, scales = row_bytes(weight)
    return whole.double() * scales.double().view(-1, *[1] * (weight.ndim - 1))


def rounded_images(x: Tensor) -> Tensor:
    """What `to_bytes` leaves of images, by its definition."""
    scales = x.double().flatten(1).amax(1) / 255
    scales = scales.view(-1, *[1] * (x.ndim - 1))
    return torch.where(scales > 0, (x.double() / scales).round() * scales, 0)


def test_weights_as_bytes_by_hand() -> None:
    whole, scales = row_bytes(torch.tensor([[1.27, -0.5, 0.004], [0, 0, 0]]))
    assert whole.tolist() == [[127, -50, 0], [0, 0, 0]]
    assert scales[0] == pytest.approx(0.01)


@has_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_as_bytes_by_hand(dtype: torch.dtype) -> None:
    x = torch.tensor([[0.0, 1, 2, 255], [0, 0, 0, 0], [-4, 0.5, 0.25, 0.125]]).to(dtype)
    whole, scales = built().to_bytes(x)
    assert whole.tolist() == [[0, 1, 2, 255], [0, 0, 0, 0], [0, 32, 16, 8]]
    torch.testing.assert_close(scales, torch.tensor([1.0, 0.0, 4 / 255]))


@has_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_an_image_that_is_not_finite_stays_so_and_alone(dtype: torch.dtype, bad: float) -> None:
    x = torch.rand(3, 40).to(dtype)
    x[1, 17] = bad
    _, scales = built().to_bytes(x)
    assert scales.isfinite().tolist() == [True, False, True]


@has_kernels
def test_the_smallest_numbers_are_zeros_and_no_nan() -> None:
    whole, scales = built().to_bytes(torch.full((2, 8), 1e-38))
    assert not whole.any()
    assert scales.tolist() == [0, 0]


@has_kernels
def test_bytes_become_numbers_by_image_and_map() -> None:
    y = torch.ones(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    scales, bias = torch.tensor([2.0, 10.0]), torch.tensor([0.0, 1.0, -3.0])
    whole = built().from_bytes_(y.clone(), scales, bias, -math.inf)
    assert whole[0, :, 0, 0].tolist() == [2, 3, -1]
    assert whole[1, :, 1, 1].tolist() == [10, 11, 7]
    rectified = built().from_bytes_(y, scales, bias, 0.0)
    assert torch.equal(rectified, whole.relu())


@has_int8
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("groups", "padding", "stride"), [(1, 1, 1), (2, 0, 2), (4, 2, 1)])
def test_a_convolution_of_bytes_is_that_of_what_was_rounded(
    groups: int, padding: int, stride: int, dtype: torch.dtype
) -> None:
    layer = nn.Conv2d(32, 24, 3, stride, padding, groups=groups)
    x = draw(3, 32, 9, 7).relu().contiguous(memory_format=torch.channels_last).to(dtype)
    x[1] *= 100
    x[2] = 0
    with torch.inference_mode():
        found = Int8Conv(layer, dtype, built())(x).double()
        assert layer.bias is not None
        expected = F.conv2d(
            rounded_images(x),
            rounded(layer.weight),
            layer.bias.double(),
            stride,
            padding,
            1,
            groups,
        )
    # What is left is the type of the result: relative to each image's largest.
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    largest = expected.flatten(1).abs().amax(1)
    assert ((found - expected).flatten(1).abs().amax(1) <= tolerance * largest).all()


@has_int8
@pytest.mark.parametrize("batch", [2, 20])
def test_a_relu_inside_is_a_relu_behind(batch: int) -> None:
    linear, conv = nn.Linear(64, 12), nn.Conv2d(8, 6, 3)
    x, maps = draw(batch, 64).relu(), draw(batch, 8, 5, 5).relu()
    with torch.inference_mode():
        for layer, inputs in (
            (SmallLinear(linear, Int8Linear(linear, built()), built()), x),
            (Int8Conv(conv, torch.float32, built()), maps),
        ):
            plain = layer(inputs)
            layer.rectify()
            assert torch.equal(layer(inputs), plain.relu())
            assert (plain < 0).any()


@has_int8
def test_a_linear_layer_of_bytes_is_that_of_what_was_rounded() -> None:
    layer, x = nn.Linear(100, 12), draw(9, 100).relu()
    with torch.inference_mode():
        found = Int8Linear(layer, built())(x)
        expected = F.linear(rounded_images(x), rounded(layer.weight), layer.bias.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


@has_kernels
def test_bytes_are_made_of_whole_weights_not_of_bf16() -> None:
    """fc4 follows a tanh, so its large batches are bf16; its small ones read bytes all the same."""
    torch.manual_seed(0)
    network = create_model("cifar_quick", num_classes=5)
    network.relu3 = nn.Tanh()
    small = optimized_network(network, "bf16").fc4
    assert isinstance(small, SmallLinear)
    whole, scales = row_bytes(network.fc4.weight.reshape(-1, BLOCK))  # type: ignore[operator, union-attr]
    assert torch.equal(small.get_buffer("bytes").flatten(), whole.flatten())
    assert torch.equal(small.get_buffer("scales").flatten(), scales)


@has_int8
def test_a_picture_is_judged_alike_in_any_company() -> None:
    torch.manual_seed(0)
    network = optimized_network(create_model("alexnet", num_classes=5, input_size=131))
    images = draw(12, 3, 131, 131)
    images[:-1] *= 50
    with torch.inference_mode():
        whole, part = network(images), network(images[3:])
    assert torch.equal(whole[3:], part)


@has_int8
def test_which_layers_multiply_bytes() -> None:
    """From the third layer with weights on, where no input is negative."""
    layers = dict(optimized_network(create_model("alexnet", num_classes=5)).named_children())
    kinds = {name: type(layer) for name, layer in layers.items()}
    assert Int8Conv not in (kinds["conv1"], kinds["conv2"])
    assert kinds["conv3"] is kinds["conv4"] is kinds["conv5"] is Int8Conv
    assert isinstance(layers["fc6"].large, Int8Linear)
    tanh = optimized_network(create_model("lenet5"))
    assert not [m for m in tanh.modules() if isinstance(m, Int8Conv | Int8Linear)]
