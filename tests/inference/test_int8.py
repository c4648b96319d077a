"""Quantized layers compute what their rounded weights and activations give."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference.int8 import (
    MAX_ACCUMULATED_INPUTS,
    MAX_WEIGHT_ONLY_BATCH,
    Int8Conv2d,
    Int8Linear,
    WeightOnlyInt8Linear,
    fits_int32_accumulator,
)
from alexnet.inference.int8_kernels import READ_PADDING, STEP_WORDS
from alexnet.inference.quantization import (
    padded_words,
    quantize_per_channel,
    quantize_with_error_feedback,
)
from alexnet.models.layers import Conv
from alexnet.models.modules import Conv2d
from alexnet.ops.instruction_sets import supported
from alexnet.ops.library import KernelLibrary
from support.kernels import built_kernels, randn, torch_threads
from support.quantized import Quantized, quantize

DTYPES = [torch.float32, torch.bfloat16]


def quantized(x: Tensor, kernels: KernelLibrary, padding: tuple[int, int] = (0, 0)) -> Quantized:
    """`quantize` of a tensor [N, C, H, W] or [N, C]."""
    return quantize(x.movedim(1, -1).contiguous(), kernels, padding)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_weight_only_int8_by_the_definition(batch: int, kernels: KernelLibrary) -> None:
    layer, x = nn.Linear(192, 10), randn(batch, 192)
    with torch.no_grad():
        found = WeightOnlyInt8Linear(layer, layer, kernels)(x)
        blocks = layer.weight.reshape(10, 3, 64).double()
        scales = blocks.abs().amax(2, keepdim=True) / 127
        rounded = ((blocks / scales).round() * scales).reshape(10, 192)
        assert (rounded - layer.weight).abs().max() <= scales.max() / 2 * 1.001
        torch.testing.assert_close(
            found.double(), F.linear(x.double(), rounded, layer.bias.double()), rtol=1e-5, atol=1e-5
        )


def test_large_batches_use_the_float_weights(kernels: KernelLibrary) -> None:
    layer = nn.Linear(64, 5)
    small, x = WeightOnlyInt8Linear(layer, layer, kernels), randn(MAX_WEIGHT_ONLY_BATCH + 1, 64)
    assert torch.equal(small(x), layer(x))
    assert not torch.equal(small(x[:-1]), layer(x[:-1]))


def test_zero_weights_give_the_bias(kernels: KernelLibrary) -> None:
    layer = nn.Linear(64, 5)
    nn.init.zeros_(layer.weight)
    small = WeightOnlyInt8Linear(layer, layer, kernels)
    assert torch.equal(small(randn(2, 64)), layer.bias.expand(2, 5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantized_activations_by_hand(dtype: torch.dtype, kernels: KernelLibrary) -> None:
    x = torch.tensor([[0.0, 1, 2, 255], [0, 0, 0, 0], [-4, 0.5, 1, -0.125]])
    values, scales, zero_points = quantized(x.to(dtype), kernels)
    assert values.flatten(1).tolist() == [[0, 1, 2, 255], [0, 0, 0, 0], [0, 230, 255, 198]]
    torch.testing.assert_close(scales, torch.tensor([1.0, 0, 5 / 255]))
    assert zero_points.tolist() == [0, 0, 204]


def test_the_maximum_is_255_also_where_the_zero_point_is_rounded_up(kernels: KernelLibrary) -> None:
    values, _, zero_points = quantized(torch.tensor([[-0.5, 254.5, 0, 1]]), kernels)
    assert values.flatten().tolist() == [1, 255, 1, 2]
    assert zero_points.tolist() == [1]


@pytest.mark.parametrize(("images", "threads"), [(1, 1), (5, 1), (1, 3), (2, 3), (5, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quantized_value_is_within_half_a_scale(
    images: int, threads: int, dtype: torch.dtype, kernels: KernelLibrary
) -> None:
    """With fewer images than threads, all threads search one image for its range."""
    x = randn(images, 3, 7, 5).mul(randn(images, 1, 1, 1, seed=1)).to(dtype)
    with torch_threads(threads):
        images_8bit = quantized(x, kernels)
    scale = images_8bit.scales.view(-1, 1, 1, 1).double()
    values = images_8bit.values[:, 0].permute(0, 3, 1, 2).double()
    found = (values - images_8bit.zero_points.view(-1, 1, 1, 1)) * scale
    assert ((found - x).abs() <= scale * 0.5001).all()
    ranges = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    torch.testing.assert_close(images_8bit.scales * 255, ranges.float(), rtol=1e-2, atol=0)


def test_the_padding_is_the_zero_point(kernels: KernelLibrary) -> None:
    x = randn(2, 3, 4, 5)
    plain, padded = quantized(x, kernels), quantized(x, kernels, (2, 3))
    assert padded.values.shape == (2, 1, 9, 10, 3)
    for image, zero_point in enumerate(plain.zero_points):
        expected = F.pad(plain.values[image], (0, 0, 2, 3, 2, 3), value=int(zero_point))
        assert torch.equal(padded.values[image], expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_group_has_maps_of_its_own(threads: int, kernels: KernelLibrary) -> None:
    """With three threads, all quantize one image; with one, each image as a whole."""
    x = randn(2, 6, 4, 5).movedim(1, -1).contiguous()
    with torch_threads(threads):
        together = quantize(x, kernels, (1, 2)).values[:, 0]
        values = quantize(x, kernels, (1, 2), groups=3).values
    assert values.shape == (2, 3, 7, 8, 2)
    for group in range(3):
        assert torch.equal(values[:, group], together[..., 2 * group : 2 * group + 2])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (5, 3, 2, 1500), (1, 6, 3, 7), (1, 4098, 1, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_planes_give_the_same_bytes_as_pixels(
    dtype: torch.dtype, shape: tuple[int, ...], threads: int, kernels: KernelLibrary
) -> None:
    """A row of 1,500 pixels, and one of 4,098 channels, takes more than one part of the buffer."""
    x, groups = randn(*shape).to(dtype), 3 if shape[1] % 3 == 0 else 1
    with torch_threads(threads):
        for padding in ((0, 0), (1, 2)):
            pixels = quantize(x.movedim(1, -1).contiguous(), kernels, padding, groups)
            planes = quantize(x.movedim(1, -1), kernels, padding, groups)
            for expected, found in zip(pixels, planes, strict=True):
                assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_only_the_image_that_is_not_finite_gets_nan(
    dtype: torch.dtype, bad: float, kernels: KernelLibrary
) -> None:
    x = randn(3, 40).to(dtype)
    x[1, 17] = bad
    for images in (x, x[1:2]):
        scales = quantized(images, kernels).scales
        assert torch.equal(scales.isfinite(), images.isfinite().all(1))


def test_the_smallest_values_become_zeros_and_no_nan(kernels: KernelLibrary) -> None:
    values, scales, zero_points = quantized(torch.full((2, 8), -1e-38), kernels)
    assert not values.any()
    assert scales.tolist() == zero_points.tolist() == [0, 0]


def dequantized(x: Tensor, kernels: KernelLibrary) -> Tensor:
    """Activations [N, C, ...] after `quantize`, as float64."""
    values, scales, zero_points = (part.double() for part in quantized(x, kernels))
    shape = -1, *[1] * (x.ndim - 1)
    values = values.flatten(1) if x.ndim == 2 else values[:, 0].permute(0, 3, 1, 2)
    return (values - zero_points.view(shape)) * scales.view(shape)


def conv(in_channels: int, channels: int, **options: int) -> Conv2d:
    torch.manual_seed(0)
    return Conv2d(Conv("conv", channels=channels, **options), in_channels)  # type: ignore[arg-type]


CONVOLUTIONS = {
    "plain": lambda: conv(32, 64, kernel=3, padding=1),
    "groups": lambda: conv(32, 24, kernel=3, stride=2, groups=2),
    "narrow groups": lambda: conv(12, 20, kernel=2, padding=1, groups=4),
    "of images": lambda: conv(3, 40, kernel=11, stride=4, padding=2),
    "extra padding": lambda: conv(3, 33, kernel=6, stride=3, extra_padding=3),
    "grayscale": lambda: conv(1, 1, kernel=5),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_quantized_convolution_is_that_of_the_rounded_values(
    make: Callable[[], Conv2d], dtype: torch.dtype, int8_kernels: KernelLibrary
) -> None:
    """Also for a batch that is computed in two parts, and for one image on three threads."""
    layer = make()
    x = randn(11, layer.in_channels, 23, 33).contiguous(memory_format=torch.channels_last).to(dtype)
    x[1] *= 100
    x[2] = 0
    x[3].relu_()
    exact = conv_of_rounded_weights(layer, dequantized(x, int8_kernels))
    with torch.inference_mode():
        quantized_layer = Int8Conv2d(layer, dtype, int8_kernels)
        found = quantized_layer(x)
        with torch_threads(3):
            alone = quantized_layer(x[1:2])
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(alone, found[1:2])
    # What remains is the rounding to the result's type: relative to each image's largest value.
    tolerance = 1e-5 if dtype == torch.float32 else 2**-8
    largest = exact.flatten(1).abs().amax(1)
    assert ((found.double() - exact).flatten(1).abs().amax(1) <= tolerance * largest).all()


def conv_of_rounded_weights(layer: Conv2d, x: Tensor) -> Tensor:
    quantized, scales = quantize_with_error_feedback(layer.weight)
    weight = quantized.double() * scales.double().view(-1, 1, 1, 1)
    x = F.pad(x, (0, layer.extra_padding, 0, layer.extra_padding))
    assert layer.bias is not None
    bias = layer.bias.detach().double()
    return F.conv2d(x, weight, bias, layer.stride, layer.pads, 1, layer.groups)


@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(1, 100, 12), (17, 101, 70)])
def test_a_quantized_linear_layer_is_that_of_the_rounded_values(
    batch: int, inputs: int, outputs: int, int8_kernels: KernelLibrary
) -> None:
    layer, x = nn.Linear(inputs, outputs), randn(batch, inputs)
    quantized, scales = quantize_per_channel(layer.weight)
    with torch.inference_mode():
        found = Int8Linear(layer, int8_kernels)(x)
        weight = quantized.double() * scales.double()[:, None]
        expected = F.linear(dequantized(x, int8_kernels), weight, layer.bias.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def kernels_for(instruction_set: str, monkeypatch: pytest.MonkeyPatch) -> KernelLibrary:
    if instruction_set not in {isa.name for isa in supported()}:
        pytest.skip(f"this CPU does not have {instruction_set}")
    monkeypatch.setenv("ALEXNET_ISA", instruction_set)
    return built_kernels()


ROWS = {
    "shorter than a step": lambda: conv(6, 10, kernel=3),
    "one step, two groups": lambda: conv(96, 70, kernel=5, padding=2, groups=2),
    "two unequal steps made equal": lambda: conv(23, 40, kernel=3, padding=1),
    "many steps": lambda: conv(128, 33, kernel=3, stride=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
def test_tiles_and_vectors_give_the_same_bits(
    make: Callable[[], Conv2d], int8_kernels: KernelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By AMX and by VNNI, for maps that are one strip wide, several, and an odd number of them."""
    tiles = kernels_for("amx_int8", monkeypatch)
    vectors = kernels_for("avx512_vnni", monkeypatch)
    assert tiles.instruction_set != vectors.instruction_set
    layer = make()
    linear = nn.Linear(23 * layer.in_channels, 40)
    for height, width in ((5, 8), (13, 13), (6, 27), (7, 55)):
        x = randn(3, layer.in_channels, height, width, seed=width)
        rows = randn(width, linear.in_features, seed=width)
        with torch.inference_mode():
            by_tiles, by_vectors = (
                (Int8Conv2d(layer, torch.float32, each)(x), Int8Linear(linear, each)(rows))
                for each in (tiles, vectors)
            )
        assert all(map(torch.equal, by_tiles, by_vectors))


def test_of_no_images_there_are_no_outputs(int8_kernels: KernelLibrary) -> None:
    with torch.inference_mode():
        maps = Int8Conv2d(conv(32, 40, kernel=3), torch.bfloat16, int8_kernels)(randn(0, 32, 9, 9))
        rows = Int8Linear(nn.Linear(64, 12), int8_kernels)(randn(0, 64))
    assert (maps.shape, rows.shape) == ((0, 40, 7, 7), (0, 12))


@pytest.mark.parametrize("length", [1, 33, 64, 65, 127, 129, 1056, 9216])
def test_a_row_is_read_in_steps_of_equal_size(length: int) -> None:
    words = padded_words(length)
    steps = math.ceil(words / STEP_WORDS)
    assert words % steps == 0
    assert 0 <= 4 * words - length <= READ_PADDING
    assert steps == math.ceil(length / (4 * STEP_WORDS))


@pytest.mark.parametrize("batch", [2, 20])
def test_a_fused_relu_is_the_relu_after_the_layer(batch: int, int8_kernels: KernelLibrary) -> None:
    linear, plain_conv = nn.Linear(64, 12), conv(8, 6, kernel=3)
    x, maps = randn(batch, 64), randn(batch, 8, 5, 5)
    with torch.inference_mode():
        for layer, inputs in (
            (WeightOnlyInt8Linear(linear, linear, int8_kernels), x),
            (Int8Linear(linear, int8_kernels), x),
            (Int8Conv2d(plain_conv, torch.float32, int8_kernels), maps),
        ):
            plain = layer(inputs)
            layer.fuse_relu()
            assert torch.equal(layer(inputs), plain.relu())
            assert (plain < 0).any()
            assert not layer(inputs).signbit().any()


def test_sums_of_products_fit_in_int32(int8_kernels: KernelLibrary) -> None:
    """The largest products there are, in the widest layer that is quantized."""
    layer = nn.Linear(MAX_ACCUMULATED_INPUTS, 2, bias=False)
    x = torch.ones(2, MAX_ACCUMULATED_INPUTS)
    with torch.no_grad():
        layer.weight[0], layer.weight[1], x[1] = 1, -1, -1
        found = Int8Linear(layer, int8_kernels)(x)
    assert fits_int32_accumulator(layer)
    assert not fits_int32_accumulator(nn.Linear(MAX_ACCUMULATED_INPUTS + 1, 1))
    exact = torch.tensor([[1.0, -1], [-1, 1]]) * MAX_ACCUMULATED_INPUTS
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=0)


def test_more_images_than_a_threads_stack_holds(int8_kernels: KernelLibrary) -> None:
    found = Int8Linear(nn.Linear(4, 1), int8_kernels)(torch.ones(2_000_000, 4))
    assert (found == found[0]).all()


def test_inputs_of_another_shape_are_rejected(int8_kernels: KernelLibrary) -> None:
    linear = Int8Linear(nn.Linear(64, 5), int8_kernels)
    conv2d = Int8Conv2d(conv(3, 6, kernel=3), torch.float32, int8_kernels)
    with pytest.raises(ValueError, match=r"takes inputs of shape \[N, 64\], not \[2, 60\]"):
        linear(randn(2, 60))
    with pytest.raises(
        ValueError, match=r"takes inputs of shape \[N, 3, H, W\], not \[2, 7, 5, 5\]"
    ):
        conv2d(randn(2, 7, 5, 5))
    with pytest.raises(ValueError, match="maps of 2 x 5 are smaller than the kernel"):
        conv2d(randn(2, 3, 2, 5))


@pytest.mark.parametrize("shape", [(2, 192), (2, 100), (9, 100), (2, 3, 128)])
def test_weight_only_int8_rejects_inputs_of_another_shape(
    shape: tuple[int, ...], kernels: KernelLibrary
) -> None:
    """The kernel would read beyond the inputs, or weights of other outputs."""
    layer = WeightOnlyInt8Linear(nn.Linear(128, 5), nn.Linear(128, 5), kernels)
    with pytest.raises(ValueError, match=r"takes inputs of shape \[N, 128\], not"):
        layer(torch.ones(shape))


def test_layers_converted_to_another_type_are_rejected(int8_kernels: KernelLibrary) -> None:
    linear = Int8Linear(nn.Linear(64, 5), int8_kernels)
    conv2d = Int8Conv2d(conv(3, 6, kernel=3), torch.float32, int8_kernels)
    weight_only = WeightOnlyInt8Linear(nn.Linear(64, 5), nn.Identity(), int8_kernels)
    with pytest.raises(ValueError, match=r"float32, not torch\.bfloat16"):
        linear.bfloat16()(randn(2, 64))
    with pytest.raises(ValueError, match=r"float32, not torch\.float64"):
        conv2d.double()(randn(2, 3, 5, 5))
    with pytest.raises(ValueError, match=r"float32, not torch\.float16"):
        weight_only.half()(randn(2, 64))
