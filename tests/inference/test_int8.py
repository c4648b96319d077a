"""Layers of bytes give what their rounded weights and inputs give."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import alexnet.inference.int8
from alexnet.inference.int8 import (
    LARGEST_WEIGHTS_ONLY_BATCH,
    LARGEST_WINDOW,
    Int8Conv,
    Int8Linear,
    WeightOnlyInt8Linear,
    fits_int32_accumulator,
    has_fast_int8,
    quantize_per_channel,
    quantize_with_error_feedback,
)
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.layers import Conv
from alexnet.models.modules import Conv2d
from alexnet.models.network import create_model
from alexnet.ops.library import BLOCK, kernels
from support.kernels import built, draw, has_kernels, torch_threads

has_int8 = pytest.mark.skipif(not has_fast_int8(kernels()), reason="no products of bytes here")


@has_kernels
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_weights_of_one_byte_by_the_definition(batch: int) -> None:
    layer, x = nn.Linear(192, 10), draw(batch, 192)
    with torch.no_grad():
        found = WeightOnlyInt8Linear(layer, layer, built())(x)
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
    small, x = WeightOnlyInt8Linear(layer, layer, built()), draw(LARGEST_WEIGHTS_ONLY_BATCH + 1, 64)
    assert torch.equal(small(x), layer(x))
    assert not torch.equal(small(x[:-1]), layer(x[:-1]))


@has_kernels
def test_weights_of_zero_give_the_bias() -> None:
    layer = nn.Linear(64, 5)
    nn.init.zeros_(layer.weight)
    small = WeightOnlyInt8Linear(layer, layer, built())
    assert torch.equal(small(draw(2, 64)), layer.bias.expand(2, 5))


def test_weights_as_bytes_by_hand() -> None:
    whole, scales = quantize_per_channel(torch.tensor([[1.27, -0.5, 0.004], [0, 0, 0]]))
    assert whole.tolist() == [[127, -50, 0], [0, 0, 0]]
    assert scales[0] == pytest.approx(0.01)


def test_a_kernels_weight_takes_over_the_error_of_its_neighbour_by_hand() -> None:
    """.4 becomes 0, and .2 + .9 * .4 is nearer to 1; .08 + .9 * .45 is nearer to 0."""
    weight = torch.tensor([[127, 0.4, 0.2], [127, 0.45, 0.08]]).view(2, 1, 1, 3)
    assert quantize_with_error_feedback(weight)[0].flatten(1).tolist() == [[127, 0, 1], [127, 0, 0]]
    assert quantize_per_channel(weight)[0].flatten(1).tolist() == [[127, 0, 0], [127, 0, 0]]


def test_kernels_of_one_weight_are_rounded_to_the_nearest() -> None:
    weight = draw(8, 6, 1, 1)
    for found, expected in zip(
        quantize_with_error_feedback(weight), quantize_per_channel(weight), strict=True
    ):
        assert torch.equal(found, expected)


def test_errors_of_a_kernel_cancel_where_maps_are_smooth() -> None:
    weight, x = draw(16, 8, 5, 5), F.interpolate(draw(2, 8, 4, 4), size=40, mode="bicubic")

    def error(whole: Tensor, scales: Tensor) -> float:
        rounded = whole * scales.view(-1, 1, 1, 1)
        return float((F.conv2d(x, rounded) - F.conv2d(x, weight)).square().mean().sqrt())

    assert error(*quantize_with_error_feedback(weight)) < error(*quantize_per_channel(weight)) / 3


@has_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_as_bytes_by_hand(dtype: torch.dtype) -> None:
    x = torch.tensor([[0.0, 1, 2, 255], [0, 0, 0, 0], [-4, 0.5, 1, -0.125]])
    numbers, scales, zeros = built().to_bytes(x.to(dtype))
    assert numbers.flatten(1).tolist() == [
        [0, 1, 2, 255],
        [0, 0, 0, 0],
        [0, 230, 255, 198],
    ]
    torch.testing.assert_close(scales, torch.tensor([1.0, 0, 5 / 255]))
    assert zeros.tolist() == [0, 0, 204]


@has_kernels
def test_the_largest_number_is_255_also_where_zero_was_rounded_up() -> None:
    numbers, _, zeros = built().to_bytes(torch.tensor([[-0.5, 254.5, 0, 1]]))
    assert numbers.flatten().tolist() == [1, 255, 1, 2]
    assert zeros.tolist() == [1]


@has_kernels
@pytest.mark.parametrize(("images", "threads"), [(1, 1), (5, 1), (1, 3), (2, 3), (5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_byte_is_its_number_within_half_a_scale(
    images: int, threads: int, dtype: torch.dtype
) -> None:
    """With fewer images than threads, all threads look for one image's extremes."""
    x = draw(images, 3, 7, 5).mul(draw(images, 1, 1, 1, seed=1)).to(dtype)
    with torch_threads(threads):
        numbers, scales, zeros = built().to_bytes(x.contiguous(memory_format=torch.channels_last))
    half = scales.view(-1, 1, 1, 1).double()
    found = (numbers.permute(0, 3, 1, 2).double() - zeros.view(-1, 1, 1, 1)) * half
    assert ((found - x).abs() <= half * 0.5001).all()
    spans = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    torch.testing.assert_close(scales * 255, spans.float(), rtol=1e-2, atol=0)


@has_kernels
def test_around_an_image_its_zero_stands() -> None:
    x = draw(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    plain, framed = built().to_bytes(x), built().to_bytes(x, (2, 3))
    assert framed.numbers.shape == (2, 9, 10, 3)
    for image, zero in enumerate(plain.zeros):
        within = F.pad(plain.numbers[image], (0, 0, 2, 3, 2, 3), value=int(zero))
        assert torch.equal(framed.numbers[image], within)


@has_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_an_image_that_is_not_finite_stays_so_and_alone(dtype: torch.dtype, bad: float) -> None:
    x = draw(3, 40).to(dtype)
    x[1, 17] = bad
    for images in (x, x[1:2]):
        scales = built().to_bytes(images).scales
        assert torch.equal(scales.isfinite(), images.isfinite().all(1))


@has_kernels
def test_the_smallest_numbers_are_zeros_and_no_nan() -> None:
    numbers, scales, zeros = built().to_bytes(torch.full((2, 8), -1e-38))
    assert not numbers.any()
    assert scales.tolist() == zeros.tolist() == [0, 0]


def decoded(x: Tensor) -> Tensor:
    """What `to_bytes` leaves of images, as float64."""
    numbers, scales, zeros = (part.double() for part in built().to_bytes(x))
    places = -1, *[1] * (x.ndim - 1)
    numbers = numbers.flatten(1) if x.ndim == 2 else numbers.permute(0, 3, 1, 2)
    return (numbers - zeros.view(places)) * scales.view(places)


def conv(channels: int, maps: int, **options: int) -> Conv2d:
    torch.manual_seed(0)
    return Conv2d(Conv("conv", channels=maps, **options), channels)  # type: ignore[arg-type]


CONVOLUTIONS = {
    "plain": conv(32, 64, kernel=3, padding=1),
    "groups": conv(32, 24, kernel=3, stride=2, groups=2),
    "narrow groups": conv(12, 20, kernel=2, padding=1, groups=4),
    "of pictures": conv(3, 40, kernel=11, stride=4, padding=2),
    "more at the end": conv(3, 33, kernel=6, stride=3, extra_padding=3),
    "grey": conv(1, 1, kernel=5),
}


@has_int8
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_of_bytes_is_that_of_what_was_rounded(name: str, dtype: torch.dtype) -> None:
    """Also for a batch that is done in two parts, and for one image that three threads share."""
    layer = CONVOLUTIONS[name]
    x = draw(11, layer.in_channels, 23, 33).contiguous(memory_format=torch.channels_last).to(dtype)
    x[1] *= 100
    x[2] = 0
    x[3].relu_()
    exact = conv_of_what_was_rounded(layer, decoded(x))
    with torch.inference_mode():
        found = Int8Conv(layer, dtype, built())(x)
        with torch_threads(3):
            alone = Int8Conv(layer, dtype, built())(x[1:2])
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(alone, found[1:2])
    # What is left is the type of the result: relative to each image's largest.
    tolerance = 1e-5 if dtype == torch.float32 else 2**-8
    largest = exact.flatten(1).abs().amax(1)
    assert ((found.double() - exact).flatten(1).abs().amax(1) <= tolerance * largest).all()


def conv_of_what_was_rounded(layer: Conv2d, x: Tensor) -> Tensor:
    whole, scales = quantize_with_error_feedback(layer.weight)
    weight = whole.double() * scales.double().view(-1, 1, 1, 1)
    x = F.pad(x, (0, layer.extra_padding, 0, layer.extra_padding))
    assert layer.bias is not None
    bias = layer.bias.detach().double()
    return F.conv2d(x, weight, bias, layer.stride, layer.pads, 1, layer.groups)


@has_int8
@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(1, 100, 12), (17, 101, 70)])
def test_a_linear_layer_of_bytes_is_that_of_what_was_rounded(
    batch: int, inputs: int, outputs: int
) -> None:
    layer, x = nn.Linear(inputs, outputs), draw(batch, inputs)
    whole, scales = quantize_per_channel(layer.weight)
    with torch.inference_mode():
        found = Int8Linear(layer, built())(x)
        weight = whole.double() * scales.double()[:, None]
        expected = F.linear(decoded(x), weight, layer.bias.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


@has_int8
@pytest.mark.parametrize("batch", [2, 20])
def test_a_relu_inside_is_a_relu_behind(batch: int) -> None:
    linear, plain_conv = nn.Linear(64, 12), conv(8, 6, kernel=3)
    x, maps = draw(batch, 64), draw(batch, 8, 5, 5)
    with torch.inference_mode():
        for layer, inputs in (
            (WeightOnlyInt8Linear(linear, linear, built()), x),
            (Int8Linear(linear, built()), x),
            (Int8Conv(plain_conv, torch.float32, built()), maps),
        ):
            plain = layer(inputs)
            layer.rectify()
            assert torch.equal(layer(inputs), plain.relu())
            assert (plain < 0).any()
            assert not layer(inputs).signbit().any()


@has_kernels
def test_bytes_are_made_of_whole_weights_not_of_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes are not multiplied, large batches are bf16; small ones read bytes."""
    monkeypatch.setattr(alexnet.inference.optimize, "has_fast_int8", lambda built: False)
    torch.manual_seed(0)
    network = create_model("cifar_quick", num_classes=5)
    small = optimize_for_inference(network, "bf16").fc4
    assert isinstance(small, WeightOnlyInt8Linear)
    whole, scales = quantize_per_channel(network.fc4.weight.reshape(-1, BLOCK))  # type: ignore[operator, union-attr]
    assert torch.equal(small.get_buffer("bytes").flatten(), whole.flatten())
    assert torch.equal(small.get_buffer("scales").flatten(), scales)


@has_int8
def test_a_picture_is_judged_alike_in_any_company_by_any_number_of_threads() -> None:
    torch.manual_seed(0)
    network = optimize_for_inference(create_model("alexnet", num_classes=5, input_size=131))
    images = draw(12, 3, 131, 131)
    images[:-1] *= 50
    with torch.inference_mode():
        whole, part, one = network(images), network(images[3:]), network(images[-1:])
        with torch_threads(3):
            other = network(images[-1:])
    assert torch.equal(whole[3:], part)
    assert torch.equal(whole[-1:], one)
    assert torch.equal(one, other)


@has_int8
def test_which_layers_multiply_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All with weights; none that is too wide, and none where bf16 is faster."""
    network = create_model("alexnet", num_classes=5)

    def kinds() -> list[type]:
        modules = optimize_for_inference(network).modules()
        return [type(m) for m in modules if isinstance(m, Int8Conv | Int8Linear)]

    assert kinds() == [Int8Conv] * 5 + [Int8Linear] * 3
    monkeypatch.setattr(alexnet.inference.int8, "LARGEST_WINDOW", 4096)
    assert kinds() == [Int8Conv] * 5 + [Int8Linear] * 2
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert kinds() == []


@has_int8
def test_sums_of_products_fit_in_32_bits() -> None:
    """The largest products there are, in the widest layer that is taken."""
    layer, x = nn.Linear(LARGEST_WINDOW, 2, bias=False), torch.ones(2, LARGEST_WINDOW)
    with torch.no_grad():
        layer.weight[0], layer.weight[1], x[1] = 1, -1, -1
        found = Int8Linear(layer, built())(x)
    assert fits_int32_accumulator(layer)
    assert not fits_int32_accumulator(nn.Linear(LARGEST_WINDOW + 1, 1))
    exact = torch.tensor([[1.0, -1], [-1, 1]]) * LARGEST_WINDOW
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=0)


@has_int8
def test_more_images_than_a_threads_stack_holds() -> None:
    found = Int8Linear(nn.Linear(4, 1), built())(torch.ones(2_000_000, 4))
    assert (found == found[0]).all()


@has_int8
def test_what_does_not_fit_is_refused() -> None:
    linear, plain_conv = Int8Linear(nn.Linear(64, 5), built()), conv(3, 6, kernel=3)
    maps = Int8Conv(plain_conv, torch.float32, built())
    with pytest.raises(ValueError, match="takes 64 inputs, not 60"):
        linear(draw(2, 60))
    with pytest.raises(ValueError, match="takes 3 inputs, not 7"):
        maps(draw(2, 7, 5, 5))
    with pytest.raises(ValueError, match="maps of 2 x 5 are smaller than the kernel"):
        maps(draw(2, 3, 2, 5))
    with pytest.raises(ValueError, match=r"float32, not torch\.bfloat16"):
        linear.bfloat16()(draw(2, 64))
    with pytest.raises(ValueError, match=r"float32, not torch\.float64"):
        maps.double()(draw(2, 3, 5, 5))
    with pytest.raises(ValueError, match=r"float32, not torch\.float16"):
        WeightOnlyInt8Linear(nn.Linear(64, 5), nn.Identity(), built()).half()(draw(2, 64))


@has_int8
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_types_of_images_are_taken(dtype: torch.dtype) -> None:
    network, images = (
        optimize_for_inference(create_model("cifar_quick")),
        draw(2, 3, 32, 32).to(dtype),
    )
    with torch.inference_mode():
        assert torch.equal(network(images), network(images.float()))


@has_int8
def test_torchs_defaults_do_not_matter() -> None:
    network, images = create_model("cifar_quick"), draw(2, 3, 32, 32)
    with torch.inference_mode():
        expected = optimize_for_inference(network)(images)
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                found = optimize_for_inference(network)(images)
        finally:
            torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)
