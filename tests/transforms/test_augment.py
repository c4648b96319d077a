"""Training crops: positions, flips, scales, colour, contrast and noise, and what they depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.transforms.augment import pca_color_jitter
from alexnet.transforms.crops import center_crop, to_float_chw
from alexnet.transforms.random_crops import (
    crop_bilinear,
    crop_integer,
    random_crop_boxes,
    random_resized_crop_boxes,
)
from support.augmenters import AXES, BARE, augmenter, seeded, stored


def integer_crops(pixels: Tensor, side: int, options: Augmentation, generator: Generator) -> Tensor:
    boxes = random_crop_boxes(len(pixels), pixels.shape[1], side, options, generator)
    return crop_integer(pixels, boxes, side)


def scaled_crops(maps: Tensor, side: int, options: Augmentation, generator: Generator) -> Tensor:
    boxes = random_resized_crop_boxes(len(maps), maps.shape[-1], side, options, generator)
    return crop_bilinear(maps, boxes, side)


def smooth(side: int = 16) -> Tensor:
    """One image, brighter to the right in red and to the bottom in green: [1, side, side, 3]."""
    ramp = torch.linspace(0, 255, side)
    red, green = ramp.expand(side, side), ramp.expand(side, side).T
    return torch.stack([red, green, torch.full((side, side), 128.0)], 2)[None].to(torch.uint8)


def positions(image: Tensor, crop: Tensor) -> list[tuple[int, int, bool]]:
    """All positions of a crop [s, s, 3] in an image [S, S, 3]: top, left, whether it is flipped."""
    side = len(crop)
    room = range(len(image) - side + 1)
    return [
        (top, left, is_flipped)
        for top in room
        for left in room
        for is_flipped in (False, True)
        if torch.equal(
            image[top : top + side, left : left + side], crop.flip(1) if is_flipped else crop
        )
    ]


@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_integer_crops_are_parts_of_the_image(seed: int, side: int, flip: bool) -> None:
    pixels = stored()
    crops = integer_crops(pixels, side, Augmentation(flip=flip), seeded(seed))
    assert crops.shape == (4, side, side, 3)
    assert crops.dtype == torch.uint8
    for image, crop in zip(pixels, crops, strict=True):
        found = positions(image, crop)
        assert found
        assert flip or any(not is_flipped for _, _, is_flipped in found)


def test_every_position_is_drawn_with_and_without_a_flip() -> None:
    """9 positions, flipped or not, 900 draws: each about 50 times; 5 standard deviations are 34."""
    pixels = stored(1, 12).expand(900, -1, -1, -1)
    crops = integer_crops(pixels, 10, Augmentation(), seeded())
    counts: dict[tuple[int, int, bool], int] = {}
    for crop in crops:
        (position,) = positions(pixels[0], crop)
        counts[position] = counts.get(position, 0) + 1
    assert len(counts) == 18
    assert max(abs(n - 50) for n in counts.values()) < 35


def test_each_image_of_a_batch_has_its_own_position() -> None:
    pixels = stored(1, 12).expand(40, -1, -1, -1)
    crops = integer_crops(pixels, 6, Augmentation(flip=False), seeded())
    found = {positions(pixels[0], crop)[0] for crop in crops}
    assert len(found) > 20
    assert len({top for top, _, _ in found}) == len({left for _, left, _ in found}) == 7


def test_row_and_column_are_drawn_separately() -> None:
    pixels = stored(1, 12).expand(60, -1, -1, -1)
    found = [
        positions(pixels[0], c)[0]
        for c in integer_crops(pixels, 6, Augmentation(flip=False), seeded())
    ]
    assert any(top != left for top, left, _ in found)


@pytest.mark.parametrize(("side", "crop"), [(12, 7), (12, 6), (11, 6), (7, 7)])
def test_without_augmentation_it_is_the_center_crop(side: int, crop: int) -> None:
    pixels = stored(3, side)
    images = augmenter(BARE, side, crop)(pixels, seeded())
    assert torch.equal(images, center_crop(pixels, Preprocessing(resize_size=side, crop_size=crop)))


@pytest.mark.parametrize("options", [BARE, replace(BARE, max_aspect_ratio=1 + 1e-6)])
@pytest.mark.parametrize("use_kernel", [True, False])
def test_half_of_the_images_are_flipped_vertically(options: Augmentation, use_kernel: bool) -> None:
    """Whole crops, and scaled ones that happen to be the whole image."""
    pixels = stored(60)
    augment = augmenter(replace(options, vertical_flip=True), crop=12)
    images = replace(augment, use_kernel=use_kernel)(pixels, seeded())
    plain = to_float_chw(pixels, augment.preprocessing)
    is_kept, is_flipped = (
        (images - expected).abs().amax((1, 2, 3)) < 0.1 for expected in (plain, plain.flip(2))
    )
    assert bool((is_kept ^ is_flipped).all())
    assert 15 < int(is_flipped.sum()) < 45


def test_both_flips_are_drawn_separately() -> None:
    options = Augmentation(vertical_flip=True, crop="center")
    _, step_x, _, step_y = random_crop_boxes(400, 12, 12, options, seeded()).T
    for x in (-1, 1):
        for y in (-1, 1):
            assert 60 < int(((step_x == x) & (step_y == y)).sum()) < 140


def test_two_flips_give_the_image() -> None:
    pixels = stored(40)
    options = Augmentation(crop="center")
    once = integer_crops(pixels, 12, options, seeded(1))
    twice = integer_crops(once, 12, options, seeded(1))
    assert torch.equal(twice, pixels)
    is_flipped = [torch.equal(a, b.flip(1)) for a, b in zip(once, pixels, strict=True)]
    is_kept = [torch.equal(a, b) for a, b in zip(once, pixels, strict=True)]
    assert all(a != b for a, b in zip(is_flipped, is_kept, strict=True))
    assert 10 < sum(is_flipped) < 30


SCALED = Augmentation(min_scale=0.3, max_aspect_ratio=1.5)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(1, 4), st.sampled_from([1, 5, 12, 20]))
def test_scaled_crops_stay_in_range(seed: int, scale: float, ratio: float, side: int) -> None:
    """Bilinear weights are fractions of 1, so a crop of values from 10 to 200 has none outside."""
    maps = 10 + 190 * torch.rand(3, 3, 12, 12, generator=seeded(seed))
    options = Augmentation(min_scale=scale, max_aspect_ratio=ratio)
    crops = scaled_crops(maps, side, options, seeded(seed))
    assert crops.shape == (3, 3, side, side)
    assert float(crops.min()) >= 10 - 1e-3
    assert float(crops.max()) <= 200 + 1e-3


@pytest.mark.parametrize("crop", ["random", "center"])
def test_scaled_crops_of_everything_are_the_image(crop: str) -> None:
    maps = torch.rand(3, 3, 12, 12) * 255
    options = Augmentation(crop="center" if crop == "center" else "random", flip=False)
    assert torch.allclose(scaled_crops(maps, 12, options, seeded()), maps, atol=1e-3)


@pytest.mark.parametrize("side", [5, 8, 24, 30])
def test_scaled_crops_of_everything_are_the_image_resized(side: int) -> None:
    maps = torch.rand(3, 3, 12, 12) * 255
    found = scaled_crops(maps, side, Augmentation(flip=False), seeded())
    expected = F.interpolate(maps, (side, side), mode="bilinear", align_corners=False)
    assert torch.allclose(found, expected, atol=1e-2)


def test_half_of_the_scaled_crops_are_flipped() -> None:
    maps = to_float_chw(smooth(), Preprocessing(resize_size=16, crop_size=16)).expand(
        200, -1, -1, -1
    )
    red = scaled_crops(maps, 16, SCALED, seeded())[:, 0]
    is_flipped = red[:, :, 0].mean(1) > red[:, :, -1].mean(1)
    assert 70 < int(is_flipped.sum()) < 130
    straight = scaled_crops(maps, 16, replace(SCALED, flip=False), seeded())[:, 0]
    assert bool((straight[:, :, 0].mean(1) < straight[:, :, -1].mean(1)).all())


def spans(options: Augmentation, count: int = 4000) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, width and height of scaled crops as fractions of a side, read off two ramps."""
    side = 64
    ramp = (torch.arange(side) + 0.5) / side
    maps = torch.stack([ramp.expand(side, side), ramp.expand(side, side).T])[None]
    crops = scaled_crops(maps.expand(count, -1, -1, -1), 3, options, seeded())
    # The three samples lie at 1/6, 1/2 and 5/6 of the crop, a third of its side apart.
    width, height = (
        3 * (crops[:, 0, 1, 2] - crops[:, 0, 1, 1]),
        3 * (crops[:, 1, 2, 1] - crops[:, 1, 1, 1]),
    )
    left, top = crops[:, 0, 1, 1] - width / 2, crops[:, 1, 1, 1] - height / 2
    return left, top, width, height


def test_scaled_crops_areas() -> None:
    """At aspect ratio 1 the side is uniform from the root of the smallest area to 1."""
    left, top, width, height = spans(Augmentation(min_scale=0.25, flip=False))
    assert torch.allclose(width, height, atol=1e-4)
    assert float(width.min()) == pytest.approx(0.5, abs=0.005)
    assert float(width.max()) == pytest.approx(1.0, abs=0.005)
    assert float(width.mean()) == pytest.approx(0.75, abs=0.01)
    for start in (left, top):
        assert float(start.min()) > -1e-3
        assert float((start + width).max()) < 1 + 1e-3
    fraction = left / (1 - width).clamp(min=1e-2)
    assert float(fraction[width < 0.9].mean()) == pytest.approx(0.5, abs=0.02)


def test_scaled_crops_aspect_ratio() -> None:
    """The logarithm of the sides' ratio is uniform between those of 1/2 and 2."""
    _, _, width, height = spans(Augmentation(min_scale=0.2, max_aspect_ratio=2.0, flip=False))
    is_free = (width < 0.99) & (height < 0.99)
    ratio = (width / height)[is_free].log() / math.log(2)
    assert float(ratio.abs().max()) <= 1.01
    assert float(ratio.max()) > 0.95
    assert float(ratio.min()) < -0.95
    assert abs(float(ratio.mean())) < 0.05


def test_scaled_center_crops() -> None:
    left, top, width, height = spans(Augmentation(crop="center", min_scale=0.2, flip=False), 50)
    assert torch.allclose(left + width / 2, torch.full((50,), 0.5), atol=1e-4)
    assert torch.allclose(top + height / 2, torch.full((50,), 0.5), atol=1e-4)
    assert float(width.std()) > 0.1


def test_color_shift_by_hand() -> None:
    a = torch.randn(5, 3, generator=seeded(4)) * 0.1
    shift = pca_color_jitter(5, AXES, 0.1, seeded(4))
    assert shift.shape == (5, 3)
    for i in range(5):
        for channel in range(3):
            expected = sum(float(AXES[channel, j]) * float(a[i, j]) for j in range(3))
            assert float(shift[i, channel]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_color_shift_covariance() -> None:
    """axes @ axes.T * std^2; with 200,000 draws the standard error of a variance is 0.3 %."""
    shift = pca_color_jitter(200_000, AXES, 0.1, seeded())
    expected = AXES @ AXES.T * 0.01
    assert torch.allclose(torch.cov(shift.T), expected, rtol=0.02, atol=0.02)
    assert float(shift.mean(0).abs().max()) < 0.03


def test_color_shift_follows_the_principal_axes() -> None:
    """A single axis gives multiples of its colour."""
    axes = torch.zeros(3, 3)
    axes[:, 1] = torch.tensor([3.0, 0.0, -4.0])
    shift = pca_color_jitter(20, axes, 0.1, seeded())
    assert torch.allclose(shift[:, 0] / 3, shift[:, 2] / -4)
    assert not shift[:, 1].any()


def test_color_is_one_per_image() -> None:
    pixels = stored()
    colored = augmenter(replace(BARE, color_std=0.5))(pixels, seeded())
    moved = colored - augmenter(BARE)(pixels, seeded())
    first = moved[:, :, :1, :1]
    assert torch.allclose(moved, first.expand_as(moved), atol=1e-3)
    assert len({round(float(m), 3) for m in first[:, 0].flatten()}) == 4
    expected = pca_color_jitter(4, AXES, 0.5, seeded())
    assert torch.allclose(first[:, :, 0, 0], expected, atol=1e-3)


def test_the_color_shift_is_divided_by_std() -> None:
    """The shift is on the 0-255 scale, before the division."""
    pixels = stored()
    options = replace(BARE, color_std=0.5)
    pure = augmenter(options)(pixels, seeded())
    divided = augmenter(options, std=(2, 4, 8), mean=(1, 2, 3))(pixels, seeded())
    mean, std = (
        torch.tensor([1.0, 2, 3])[:, None, None],
        torch.tensor([2.0, 4, 8])[:, None, None],
    )
    assert torch.allclose(divided, (pure - mean) / std, atol=1e-4)


def test_last_color_epoch() -> None:
    pixels = stored()
    bare = augmenter(BARE)(pixels, seeded())
    late = augmenter(replace(BARE, color_std=0.5, last_color_epoch=3))
    has_color = [not torch.equal(late(pixels, seeded(), epoch=e), bare) for e in range(6)]
    assert has_color == [True, True, True, False, False, False]
    always = augmenter(replace(BARE, color_std=0.5))
    assert not torch.equal(always(pixels, seeded(), epoch=10**6), bare)


def test_noise() -> None:
    pixels = torch.full((4, 40, 40, 3), 100, dtype=torch.uint8)
    images = augmenter(replace(BARE, noise_std=5.0), 40, 40)(pixels, seeded())
    # 19,200 values: the standard error of their std is 0.5 %.
    assert float(images.std()) == pytest.approx(5, rel=0.03)
    assert float(images.mean()) == pytest.approx(100, abs=0.2)
    neighbours = (images[:, :, :, 1:] - 100) * (images[:, :, :, :-1] - 100)
    assert abs(float(neighbours.mean())) < 1
    divided = augmenter(replace(BARE, noise_std=5.0), 40, 40, std=(5, 5, 5))(pixels, seeded())
    assert float(divided.std()) == pytest.approx(1, rel=0.03)


def test_contrast() -> None:
    pixels = stored(2000)
    bare = augmenter(BARE, mean=(100, 100, 100))(pixels, seeded())
    images = augmenter(replace(BARE, contrast_std=0.3), mean=(100, 100, 100))(pixels, seeded())
    factor = (images * bare).sum((1, 2, 3)) / bare.square().sum((1, 2, 3))
    assert torch.allclose(images, bare * factor[:, None, None, None], atol=1e-2)
    # 2,000 draws: the standard error of the std is 1.6 %, of the mean 0.007.
    assert float(factor.log().std()) == pytest.approx(0.3, rel=0.08)
    assert abs(float(factor.log().mean())) < 0.03


EVERYTHING = Augmentation(min_scale=0.4, max_aspect_ratio=1.3, noise_std=2.0, contrast_std=0.2)


@pytest.mark.parametrize("options", [Augmentation(), EVERYTHING])
def test_it_is_a_function_of_the_generator(options: Augmentation) -> None:
    augment, pixels = augmenter(options), stored()
    first = augment(pixels, seeded(1))
    torch.rand(7)  # the global generator is not used
    assert torch.equal(first, augment(pixels, seeded(1)))
    assert not torch.equal(first, augment(pixels, seeded(2)))


def test_two_calls_give_different_crops() -> None:
    augment, pixels, generator = augmenter(Augmentation()), stored(), seeded()
    assert not torch.equal(augment(pixels, generator), augment(pixels, generator))


def test_without_augmentation_nothing_is_drawn() -> None:
    generator = seeded()
    augmenter(BARE)(stored(), generator)
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize("options", [BARE, Augmentation(), SCALED, EVERYTHING])
@pytest.mark.parametrize("crop", [5, 12])
def test_output(options: Augmentation, crop: int) -> None:
    pixels = stored()
    before = pixels.clone()
    images = augmenter(options, crop=crop)(pixels, seeded())
    assert images.shape == (4, 3, crop, crop)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(
    "options", [replace(BARE, flip=True), Augmentation(color_std=0), replace(SCALED, color_std=0)]
)
def test_values_stay_on_the_0_to_255_scale(options: Augmentation) -> None:
    images = augmenter(options)(stored(50), seeded())
    assert float(images.min()) >= 0
    assert float(images.max()) <= 255
    assert float(images.max()) > 150


def test_grey_crops() -> None:
    options = Augmentation(color_std=0.3, noise_std=1.0)
    images = augmenter(options, channels=1)(stored(), seeded())
    assert images.shape == (4, 1, 7, 7)
    preprocessing = Preprocessing(resize_size=12, crop_size=7, channels=1)
    assert torch.equal(
        augmenter(BARE, channels=1)(stored(), seeded()), center_crop(stored(), preprocessing)
    )


def test_padding_comes_before_the_crop() -> None:
    pixels = torch.full((300, 6, 6, 3), 9, dtype=torch.uint8)
    images = augmenter(Augmentation(color_std=0), 6, 6, padding=2)(pixels, seeded())
    filled = (images[:, 0] == 9).sum((1, 2))
    # The crop of 6 lies in 10: it loses up to 2 rows and 2 columns.
    assert set(filled.tolist()) == {h * w for h in (4, 5, 6) for w in (4, 5, 6)}


def test_the_mean_image_is_the_same_at_every_position() -> None:
    """Code2012: the same mean image is subtracted at every crop position."""
    pixels = stored(30)
    mean = torch.rand(3, 7, 7, generator=seeded()) * 200
    options = Augmentation(color_std=0)
    with_mean = augmenter(options, mean_image=mean, has_mean_image=True)(pixels, seeded(5))
    without = augmenter(options)(pixels, seeded(5))
    assert torch.allclose(without - with_mean, mean.expand(30, -1, -1, -1), atol=1e-4)


def test_crops_are_resized_to_the_input() -> None:
    augment = augmenter(replace(BARE, crop="random"), 40, 32, input_size=16)
    assert augment(stored(3, 40), seeded()).shape == (3, 3, 16, 16)
