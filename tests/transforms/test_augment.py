"""Training views: places, mirrors, scales, colours and noise, and what decides them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Augmentation
from alexnet.transforms.augment import (
    crop_integer,
    pca_color_jitter,
    random_crop_boxes,
    random_resized_crop_boxes,
    sampled,
)
from alexnet.transforms.crops import center_crop, to_float_chw
from support.augmenters import AXES, BARE, augmenter, seeded, stored


def exact_crops(pixels: Tensor, side: int, options: Augmentation, generator: Generator) -> Tensor:
    places = random_crop_boxes(len(pixels), pixels.shape[1], side, options, generator)
    return crop_integer(pixels, places, side)


def scaled_crops(maps: Tensor, side: int, options: Augmentation, generator: Generator) -> Tensor:
    places = random_resized_crop_boxes(len(maps), maps.shape[-1], side, options, generator)
    return sampled(maps, places, side)


def smooth(side: int = 16) -> Tensor:
    """One picture, brighter to the right in red and to the bottom in green: [1, side, side, 3]."""
    ramp = torch.linspace(0, 255, side)
    red, green = ramp.expand(side, side), ramp.expand(side, side).T
    return torch.stack([red, green, torch.full((side, side), 128.0)], 2)[None].to(torch.uint8)


def places(picture: Tensor, crop: Tensor) -> list[tuple[int, int, bool]]:
    """Where in the picture [S, S, 3] the crop [s, s, 3] lies: top, left, whether mirrored."""
    side = len(crop)
    room = range(len(picture) - side + 1)
    return [
        (top, left, is_flipped)
        for top in room
        for left in room
        for is_flipped in (False, True)
        if torch.equal(
            picture[top : top + side, left : left + side], crop.flip(1) if is_flipped else crop
        )
    ]


@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_exact_crops_are_parts_of_the_picture(seed: int, side: int, flip: bool) -> None:
    pixels = stored()
    crops = exact_crops(pixels, side, Augmentation(flip=flip), seeded(seed))
    assert crops.shape == (4, side, side, 3)
    assert crops.dtype == torch.uint8
    for picture, crop in zip(pixels, crops, strict=True):
        found = places(picture, crop)
        assert found
        assert flip or any(not is_flipped for _, _, is_flipped in found)


def test_every_place_and_both_mirrors_come_up() -> None:
    """9 places and 2 mirrors, 900 draws: each about 50 times, 5 deviations are 34."""
    pixels = stored(1, 12).expand(900, -1, -1, -1)
    crops = exact_crops(pixels, 10, Augmentation(), seeded())
    counts: dict[tuple[int, int, bool], int] = {}
    for crop in crops:
        (place,) = places(pixels[0], crop)
        counts[place] = counts.get(place, 0) + 1
    assert len(counts) == 18
    assert max(abs(n - 50) for n in counts.values()) < 35


def test_pictures_of_a_batch_have_their_own_places() -> None:
    pixels = stored(1, 12).expand(40, -1, -1, -1)
    crops = exact_crops(pixels, 6, Augmentation(flip=False), seeded())
    found = {places(pixels[0], crop)[0] for crop in crops}
    assert len(found) > 20
    assert len({top for top, _, _ in found}) == len({left for _, left, _ in found}) == 7


def test_row_and_column_are_drawn_apart() -> None:
    pixels = stored(1, 12).expand(60, -1, -1, -1)
    found = [
        places(pixels[0], c)[0] for c in exact_crops(pixels, 6, Augmentation(flip=False), seeded())
    ]
    assert any(top != left for top, left, _ in found)


@pytest.mark.parametrize(("side", "crop"), [(12, 7), (12, 6), (11, 6), (7, 7)])
def test_centre_crop_is_the_centre_view(side: int, crop: int) -> None:
    pixels = stored(3, side)
    views = augmenter(BARE, side, crop)(pixels, seeded())
    assert torch.equal(views, center_crop(pixels, Preprocessing(resize_size=side, crop_size=crop)))


def test_flip_twice_is_the_picture() -> None:
    pixels = stored(40)
    options = Augmentation(crop="center")
    once = exact_crops(pixels, 12, options, seeded(1))
    twice = exact_crops(once, 12, options, seeded(1))
    assert torch.equal(twice, pixels)
    is_flipped = [torch.equal(a, b.flip(1)) for a, b in zip(once, pixels, strict=True)]
    is_kept = [torch.equal(a, b) for a, b in zip(once, pixels, strict=True)]
    assert all(a != b for a, b in zip(is_flipped, is_kept, strict=True))
    assert 10 < sum(is_flipped) < 30


SCALED = Augmentation(min_scale=0.3, max_aspect_ratio=1.5)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(1, 4), st.sampled_from([1, 5, 12, 20]))
def test_scaled_crops_stay_in_range(seed: int, area: float, stretch: float, side: int) -> None:
    """Bilinear weights are shares, so a view of values from 10 to 200 has none outside."""
    maps = 10 + 190 * torch.rand(3, 3, 12, 12, generator=seeded(seed))
    options = Augmentation(min_scale=area, max_aspect_ratio=stretch)
    crops = scaled_crops(maps, side, options, seeded(seed))
    assert crops.shape == (3, 3, side, side)
    assert float(crops.min()) >= 10 - 1e-3
    assert float(crops.max()) <= 200 + 1e-3


@pytest.mark.parametrize("crop", ["random", "center"])
def test_scaled_crops_of_everything_are_the_picture(crop: str) -> None:
    maps = torch.rand(3, 3, 12, 12) * 255
    options = Augmentation(crop="center" if crop == "center" else "random", flip=False)
    assert torch.allclose(scaled_crops(maps, 12, options, seeded()), maps, atol=1e-3)


@pytest.mark.parametrize("side", [5, 8, 24, 30])
def test_scaled_crops_of_everything_are_the_picture_resized(side: int) -> None:
    maps = torch.rand(3, 3, 12, 12) * 255
    found = scaled_crops(maps, side, Augmentation(flip=False), seeded())
    expected = F.interpolate(maps, (side, side), mode="bilinear", align_corners=False)
    assert torch.allclose(found, expected, atol=1e-2)


def test_scaled_crops_mirror_half() -> None:
    maps = to_float_chw(smooth(), Preprocessing(resize_size=16, crop_size=16)).expand(
        200, -1, -1, -1
    )
    red = scaled_crops(maps, 16, SCALED, seeded())[:, 0]
    is_mirrored = red[:, :, 0].mean(1) > red[:, :, -1].mean(1)
    assert 70 < int(is_mirrored.sum()) < 130
    straight = scaled_crops(maps, 16, replace(SCALED, flip=False), seeded())[:, 0]
    assert bool((straight[:, :, 0].mean(1) < straight[:, :, -1].mean(1)).all())


def spans(options: Augmentation, count: int = 4000) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, width and height of scaled crops as shares of a side, read off two ramps."""
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
    """Without a stretch the side is uniform from the root of the least area to 1."""
    left, top, width, height = spans(Augmentation(min_scale=0.25, flip=False))
    assert torch.allclose(width, height, atol=1e-4)
    assert float(width.min()) == pytest.approx(0.5, abs=0.005)
    assert float(width.max()) == pytest.approx(1.0, abs=0.005)
    assert float(width.mean()) == pytest.approx(0.75, abs=0.01)
    for start in (left, top):
        assert float(start.min()) > -1e-3
        assert float((start + width).max()) < 1 + 1e-3
    share = left / (1 - width).clamp(min=1e-2)
    assert float(share[width < 0.9].mean()) == pytest.approx(0.5, abs=0.02)


def test_scaled_crops_stretch() -> None:
    """The logarithm of the sides' ratio is uniform between those of 1/2 and 2."""
    _, _, width, height = spans(Augmentation(min_scale=0.2, max_aspect_ratio=2.0, flip=False))
    is_free = (width < 0.99) & (height < 0.99)
    ratio = (width / height)[is_free].log() / math.log(2)
    assert float(ratio.abs().max()) <= 1.01
    assert float(ratio.max()) > 0.95
    assert float(ratio.min()) < -0.95
    assert abs(float(ratio.mean())) < 0.05


def test_scaled_centre_crops() -> None:
    left, top, width, height = spans(Augmentation(crop="center", min_scale=0.2, flip=False), 50)
    assert torch.allclose(left + width / 2, torch.full((50,), 0.5), atol=1e-4)
    assert torch.allclose(top + height / 2, torch.full((50,), 0.5), atol=1e-4)
    assert float(width.std()) > 0.1


def test_colour_shift_by_hand() -> None:
    a = torch.randn(5, 3, generator=seeded(4)) * 0.1
    shift = pca_color_jitter(5, AXES, 0.1, seeded(4))
    assert shift.shape == (5, 3)
    for i in range(5):
        for channel in range(3):
            expected = sum(float(AXES[channel, j]) * float(a[i, j]) for j in range(3))
            assert float(shift[i, channel]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_colour_shift_covariance() -> None:
    """axes @ axes.T * sd^2; with 200,000 draws a variance is off by .3 % (one deviation)."""
    shift = pca_color_jitter(200_000, AXES, 0.1, seeded())
    expected = AXES @ AXES.T * 0.01
    assert torch.allclose(torch.cov(shift.T), expected, rtol=0.02, atol=0.02)
    assert float(shift.mean(0).abs().max()) < 0.03


def test_colour_shift_follows_the_principal_colours() -> None:
    """One axis alone gives multiples of that colour."""
    axes = torch.zeros(3, 3)
    axes[:, 1] = torch.tensor([3.0, 0.0, -4.0])
    shift = pca_color_jitter(20, axes, 0.1, seeded())
    assert torch.allclose(shift[:, 0] / 3, shift[:, 2] / -4)
    assert not shift[:, 1].any()


def test_colour_is_one_per_picture() -> None:
    pixels = stored()
    coloured = augmenter(replace(BARE, color_std=0.5))(pixels, seeded())
    moved = coloured - augmenter(BARE)(pixels, seeded())
    first = moved[:, :, :1, :1]
    assert torch.allclose(moved, first.expand_as(moved), atol=1e-3)
    assert len({round(float(m), 3) for m in first[:, 0].flatten()}) == 4
    expected = pca_color_jitter(4, AXES, 0.5, seeded())
    assert torch.allclose(first[:, :, 0, 0], expected, atol=1e-3)


def test_colour_is_divided_with_the_pixels() -> None:
    """The shift is on the 0-255 scale, before the division."""
    pixels = stored()
    options = replace(BARE, color_std=0.5)
    pure = augmenter(options)(pixels, seeded())
    divided = augmenter(options, std=(2, 4, 8), mean=(1, 2, 3))(pixels, seeded())
    mean, divisor = (
        torch.tensor([1.0, 2, 3])[:, None, None],
        torch.tensor([2.0, 4, 8])[:, None, None],
    )
    assert torch.allclose(divided, (pure - mean) / divisor, atol=1e-4)


def test_last_colour_epoch() -> None:
    pixels = stored()
    bare = augmenter(BARE)(pixels, seeded())
    late = augmenter(replace(BARE, color_std=0.5, last_color_epoch=3))
    is_coloured = [not torch.equal(late(pixels, seeded(), epoch=e), bare) for e in range(6)]
    assert is_coloured == [True, True, True, False, False, False]
    always = augmenter(replace(BARE, color_std=0.5))
    assert not torch.equal(always(pixels, seeded(), epoch=10**6), bare)


def test_noise() -> None:
    pixels = torch.full((4, 40, 40, 3), 100, dtype=torch.uint8)
    views = augmenter(replace(BARE, noise_std=5.0), 40, 40)(pixels, seeded())
    # 19,200 values: their deviation is known to .5 %.
    assert float(views.std()) == pytest.approx(5, rel=0.03)
    assert float(views.mean()) == pytest.approx(100, abs=0.2)
    neighbours = (views[:, :, :, 1:] - 100) * (views[:, :, :, :-1] - 100)
    assert abs(float(neighbours.mean())) < 1
    divided = augmenter(replace(BARE, noise_std=5.0), 40, 40, std=(5, 5, 5))(pixels, seeded())
    assert float(divided.std()) == pytest.approx(1, rel=0.03)


def test_contrast() -> None:
    pixels = stored(2000)
    bare = augmenter(BARE, mean=(100, 100, 100))(pixels, seeded())
    views = augmenter(replace(BARE, contrast_std=0.3), mean=(100, 100, 100))(pixels, seeded())
    factor = (views * bare).sum((1, 2, 3)) / bare.square().sum((1, 2, 3))
    assert torch.allclose(views, bare * factor[:, None, None, None], atol=1e-2)
    # 2,000 draws: the deviation of a deviation is 1.6 %, of the mean .007.
    assert float(factor.log().std()) == pytest.approx(0.3, rel=0.08)
    assert abs(float(factor.log().mean())) < 0.03


EVERYTHING = Augmentation(min_scale=0.4, max_aspect_ratio=1.3, noise_std=2.0, contrast_std=0.2)


@pytest.mark.parametrize("options", [Augmentation(), EVERYTHING])
def test_views_are_a_function_of_the_generator(options: Augmentation) -> None:
    augment, pixels = augmenter(options), stored()
    first = augment(pixels, seeded(1))
    torch.rand(7)  # the global generator plays no part
    assert torch.equal(first, augment(pixels, seeded(1)))
    assert not torch.equal(first, augment(pixels, seeded(2)))


def test_a_step_after_another_gives_other_views() -> None:
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
    views = augmenter(options, crop=crop)(pixels, seeded())
    assert views.shape == (4, 3, crop, crop)
    assert views.dtype == torch.float32
    assert views.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(
    "options", [replace(BARE, flip=True), Augmentation(color_std=0), replace(SCALED, color_std=0)]
)
def test_values_stay_on_the_0_to_255_scale(options: Augmentation) -> None:
    views = augmenter(options)(stored(50), seeded())
    assert float(views.min()) >= 0
    assert float(views.max()) <= 255
    assert float(views.max()) > 150


def test_grey_views() -> None:
    options = Augmentation(color_std=0.3, noise_std=1.0)
    views = augmenter(options, channels=1)(stored(), seeded())
    assert views.shape == (4, 1, 7, 7)
    rule = Preprocessing(resize_size=12, crop_size=7, channels=1)
    assert torch.equal(augmenter(BARE, channels=1)(stored(), seeded()), center_crop(stored(), rule))


def test_padding_comes_before_the_crop() -> None:
    pixels = torch.full((300, 6, 6, 3), 9, dtype=torch.uint8)
    views = augmenter(Augmentation(color_std=0), 6, 6, padding=2)(pixels, seeded())
    filled = (views[:, 0] == 9).sum((1, 2))
    # The window of 6 lies in 10: it loses up to 2 rows and 2 columns.
    assert set(filled.tolist()) == {h * w for h in (4, 5, 6) for w in (4, 5, 6)}


def test_mean_image_is_that_of_the_centre_at_every_place() -> None:
    """Code2012: the same mean is subtracted wherever the crop lies."""
    pixels = stored(30)
    mean = torch.rand(3, 7, 7, generator=seeded()) * 200
    options = Augmentation(color_std=0)
    with_mean = augmenter(options, mean_image=mean, has_mean_image=True)(pixels, seeded(5))
    without = augmenter(options)(pixels, seeded(5))
    assert torch.allclose(without - with_mean, mean.expand(30, -1, -1, -1), atol=1e-4)
