"""Centre crop and ten crops: their pixels, scale and memory format."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ConfigError
from alexnet.transforms.crops import (
    LUMA_WEIGHTS,
    center_crop,
    denormalize,
    normalize,
    pad,
    resize,
    ten_crop,
    to_float_chw,
    to_uint8_images,
)


def stored(count: int = 2, side: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (count, side, side, 3), generator=generator, dtype=torch.uint8)


def preprocessing(side: int, crop: int, pad: int = 0, **values: object) -> Preprocessing:
    sizes = {"resize_size": side, "crop_size": crop, "padding": pad}
    return Preprocessing(**sizes, **values)  # type: ignore[arg-type]


def float_chw(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float()


def test_to_float_chw_keeps_the_values() -> None:
    pixels = stored()
    images = to_float_chw(pixels, preprocessing(11, 11))
    assert images.dtype == torch.float32
    assert images.shape == (2, 3, 11, 11)
    assert torch.equal(images, float_chw(pixels))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_grey_by_hand() -> None:
    """BT.601: a pure red, green or blue of 200 is 59.8, 117.4, 22.8; white stays white."""
    pixels = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    pixels[0, 0, 0, 0] = pixels[0, 0, 1, 1] = pixels[0, 1, 0, 2] = 200
    pixels[0, 1, 1] = 255
    images = to_float_chw(pixels, preprocessing(2, 2, channels=1))
    assert images.shape == (1, 1, 2, 2)
    assert images.flatten().tolist() == pytest.approx([59.8, 117.4, 22.8, 255.0], rel=1e-5)
    assert sum(LUMA_WEIGHTS) == pytest.approx(1)


def test_normalize_by_hand() -> None:
    images = torch.full((1, 3, 1, 1), 100.0)
    found = normalize(images, preprocessing(1, 1, mean=(100, 90, 50), std=(1, 2, 5)), None)
    assert found.flatten().tolist() == [0.0, 5.0, 10.0]


def test_one_channel_is_normalized_by_the_first_mean_and_std() -> None:
    grey = preprocessing(1, 1, channels=1, mean=(90, 1, 2), std=(5, 1, 1))
    found = normalize(torch.full((1, 1, 1, 1), 100.0), grey, None)
    assert found.item() == 2.0


@pytest.mark.parametrize("has_mean_image", [False, True])
def test_denormalize_is_the_inverse_and_the_images_are_the_stored_ones(
    has_mean_image: bool,
) -> None:
    pixels = stored()
    values = preprocessing(11, 7, mean=(90, 100, 110), std=(50, 60, 70))
    mean_image = torch.rand(3, 7, 7) * 255 if has_mean_image else None
    crops = center_crop(pixels, values, mean_image)
    images = to_uint8_images(denormalize(crops, values, mean_image))
    assert np.array_equal(np.stack(images), pixels[:, 2:9, 2:9].numpy())
    smaller = denormalize(crops[:, :, :5, :6], values, mean_image)
    assert torch.equal(smaller, denormalize(crops, values, mean_image)[:, :, :5, :6])


def test_grey_images_have_no_channels() -> None:
    grey = preprocessing(11, 11, channels=1, mean=(90, 0, 0), std=(50, 1, 1))
    (image,) = to_uint8_images(denormalize(torch.full((1, 1, 2, 3), 4.0), grey, None))
    assert (image.shape, image.dtype) == ((2, 3), np.uint8)
    assert (image == 255).all()  # 290 is above the scale


def test_defaults_leave_the_0_to_255_scale() -> None:
    pixels = stored()
    pixels[0, 5, 5], pixels[1, 5, 5] = 0, 255
    crop = center_crop(pixels, preprocessing(11, 5))
    assert (float(crop.min()), float(crop.max())) == (0.0, 255.0)


@given(st.integers(1, 14), st.integers(0, 6), st.integers(0, 3))
def test_center_crop_is_the_center(size: int, margin: int, padding: int) -> None:
    side = max(1, size + margin - 2 * padding)
    pixels = stored(2, side)
    total = side + 2 * padding
    offset = (total - size) // 2
    wide = torch.zeros(2, 3, total, total)
    wide[:, :, padding : padding + side, padding : padding + side] = float_chw(pixels)
    if size <= total:
        crop = center_crop(pixels, preprocessing(side, size, padding))
        assert torch.equal(crop, wide[:, :, offset : offset + size, offset : offset + size])


def test_pad() -> None:
    pixels = stored(2, 3)
    wide = pad(pixels, 2)
    assert wide.shape == (2, 7, 7, 3)
    assert wide.dtype == torch.uint8
    assert torch.equal(wide[:, 2:5, 2:5], pixels)
    assert int(wide.sum()) == int(pixels.sum())
    assert pad(pixels, 0) is pixels


def corners(pixels: Tensor, crop: int) -> list[Tensor]:
    """Top left, top right, bottom left, bottom right and centre, cut by hand."""
    end = pixels.shape[1] - crop
    middle = end // 2
    positions = [(0, 0), (0, end), (end, 0), (end, end), (middle, middle)]
    return [float_chw(pixels)[:, :, y : y + crop, x : x + crop] for y, x in positions]


@pytest.mark.parametrize("side", [11, 12])
def test_the_first_five_crops(side: int) -> None:
    pixels = stored(2, side)
    crops = ten_crop(pixels, preprocessing(side, 7))
    assert len(crops) == 10
    for found, expected in zip(crops[:5], corners(pixels, 7), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("side", [11, 12])  # 12: the margin is odd
def test_the_other_five_are_flipped(side: int) -> None:
    pixels = stored(2, side)
    crops = ten_crop(pixels, preprocessing(side, 7))
    flips = [crop.flip(3) for crop in corners(pixels, 7)]
    for flip in flips:
        assert sum(torch.equal(flip, crop) for crop in crops[5:]) == 1


def test_all_ten_crops_differ() -> None:
    crops = ten_crop(stored(1, 11), preprocessing(11, 7))
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) == 10


def test_the_fifth_is_the_center_crop() -> None:
    for side in (11, 12):
        values = preprocessing(side, 7, mean=(1, 2, 3), std=(4, 5, 6))
        pixels = stored(2, side)
        assert torch.equal(ten_crop(pixels, values)[4], center_crop(pixels, values))


@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 2))
def test_a_flipped_image_has_the_same_ten_crops(crop: int, half_margin: int, pad: int) -> None:
    """So both get the same mean. Where the margin is odd no crop is exactly in the centre."""
    side = crop + 2 * half_margin - 2 * pad
    assume(side >= 1)
    pixels, values = stored(1, side), preprocessing(side, crop, pad)
    ours = sorted(tuple(crop.flatten().tolist()) for crop in ten_crop(pixels, values))
    others = sorted(tuple(crop.flatten().tolist()) for crop in ten_crop(pixels.flip(2), values))
    assert ours == others


def test_ten_crops_of_an_image_as_large_as_the_crop() -> None:
    """Five times the whole image and five times its mirror image."""
    pixels = stored(2, 7)
    crops = ten_crop(pixels, preprocessing(7, 7))
    whole = float_chw(pixels)
    assert all(torch.equal(crop, whole) for crop in crops[:5])
    assert all(torch.equal(crop, whole.flip(3)) for crop in crops[5:])


def test_ten_crops_with_padding() -> None:
    pixels = stored(1, 5)
    crops = ten_crop(pixels, preprocessing(5, 5, pad=1))
    assert not crops[0][:, :, 0].any()
    assert not crops[0][:, :, :, 0].any()
    assert torch.equal(crops[0][:, :, 1:, 1:], float_chw(pixels)[:, :, :4, :4])
    assert torch.equal(crops[4], float_chw(pixels))


def test_mean_image_is_subtracted_at_every_position() -> None:
    pixels = stored(2, 11)
    mean = torch.rand(3, 7, 7) * 100
    values = preprocessing(11, 7, std=(2, 2, 2), has_mean_image=True, mean=(50, 50, 50))
    plain = preprocessing(11, 7)
    for found, bare in zip(ten_crop(pixels, values, mean), ten_crop(pixels, plain), strict=True):
        assert torch.equal(found, (bare - mean) / 2)
    assert torch.equal(center_crop(pixels, values, mean), (center_crop(pixels, plain) - mean) / 2)


@pytest.mark.parametrize("size", [1, 7, 11])
def test_crops_are_channels_last_and_do_not_change_the_pixels(size: int) -> None:
    pixels = stored(2, 11)
    before = pixels.clone()
    values = preprocessing(11, size, mean=(9, 9, 9))
    for crop in [center_crop(pixels, values), *ten_crop(pixels, values)]:
        assert crop.dtype == torch.float32
        assert crop.shape == (2, 3, size, size)
        assert crop.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"crop_size": 12},
            "takes 12 pixels but stored .* have 11; set --resize-size to at least 12",
        ),
        ({"crop_size": 18, "padding": 3}, "have 17; set --resize-size to at least 12"),
        ({"crop_size": 0}, "takes 0 pixels"),
        ({"crop_size": 5, "std": (1, 0, 1)}, "must be above 0"),
        ({"crop_size": 5, "padding": -1}, "must be from 0 to 4096"),
    ],
)
def test_preprocessing_that_cannot_work(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preprocessing(resize_size=11, **values)  # type: ignore[arg-type]


def test_crops_are_resized_to_the_input() -> None:
    values = Preprocessing(resize_size=40, crop_size=32, input_size=16)
    pixels = torch.randint(256, (3, 40, 40, 3), dtype=torch.uint8)
    assert values.input_side == 16
    assert {crop.shape for crop in ten_crop(pixels, values)} == {(3, 3, 16, 16)}
    assert center_crop(pixels, values).shape == (3, 3, 16, 16)


def test_shrinking_by_two_averages() -> None:
    """Antialiasing keeps the mean: a fine checkerboard becomes uniform grey."""
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 200.0).expand(1, 3, 32, 32)
    small = resize(board.contiguous(), 16)
    assert torch.allclose(small[..., 2:-2, 2:-2], torch.full((1, 3, 12, 12), 100.0), atol=1e-3)
    assert resize(board, 32) is board
