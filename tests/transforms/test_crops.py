"""Centre and ten views: which pixels they hold, on which scale, and in which memory."""

from __future__ import annotations

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
    normalise,
    pad,
    ten_crop,
    to_float_chw,
)


def stored(count: int = 2, side: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (count, side, side, 3), generator=generator, dtype=torch.uint8)


def rule(side: int, crop: int, pad: int = 0, **values: object) -> Preprocessing:
    sizes = {"resize_size": side, "crop_size": crop, "padding": pad}
    return Preprocessing(**sizes, **values)  # type: ignore[arg-type]


def maps_of(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float()


def test_as_maps_keeps_the_values() -> None:
    pixels = stored()
    maps = to_float_chw(pixels, rule(11, 11))
    assert maps.dtype == torch.float32
    assert maps.shape == (2, 3, 11, 11)
    assert torch.equal(maps, maps_of(pixels))
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_grey_by_hand() -> None:
    """BT.601: a pure red, green or blue of 200 is 59.8, 117.4, 22.8; white stays white."""
    pixels = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    pixels[0, 0, 0, 0] = pixels[0, 0, 1, 1] = pixels[0, 1, 0, 2] = 200
    pixels[0, 1, 1] = 255
    maps = to_float_chw(pixels, rule(2, 2, channels=1))
    assert maps.shape == (1, 1, 2, 2)
    assert maps.flatten().tolist() == pytest.approx([59.8, 117.4, 22.8, 255.0], rel=1e-5)
    assert sum(LUMA_WEIGHTS) == pytest.approx(1)


def test_normalise_by_hand() -> None:
    maps = torch.full((1, 3, 1, 1), 100.0)
    found = normalise(maps, rule(1, 1, mean=(100, 90, 50), std=(1, 2, 5)), None)
    assert found.flatten().tolist() == [0.0, 5.0, 10.0]


def test_normalise_one_channel_takes_the_first_figures() -> None:
    grey = rule(1, 1, channels=1, mean=(90, 1, 2), std=(5, 1, 1))
    found = normalise(torch.full((1, 1, 1, 1), 100.0), grey, None)
    assert found.item() == 2.0


def test_defaults_leave_the_0_to_255_scale() -> None:
    pixels = stored()
    pixels[0, 5, 5], pixels[1, 5, 5] = 0, 255
    view = center_crop(pixels, rule(11, 5))
    assert (float(view.min()), float(view.max())) == (0.0, 255.0)


@given(st.integers(1, 14), st.integers(0, 6), st.integers(0, 3))
def test_centre_view_is_the_middle(crop: int, room: int, pad: int) -> None:
    side = max(1, crop + room - 2 * pad)
    pixels = stored(2, side)
    total = side + 2 * pad
    offset = (total - crop) // 2
    wide = torch.zeros(2, 3, total, total)
    wide[:, :, pad : pad + side, pad : pad + side] = maps_of(pixels)
    if crop <= total:
        view = center_crop(pixels, rule(side, crop, pad))
        assert torch.equal(view, wide[:, :, offset : offset + crop, offset : offset + crop])


def test_padded() -> None:
    pixels = stored(2, 3)
    wide = pad(pixels, 2)
    assert wide.shape == (2, 7, 7, 3)
    assert wide.dtype == torch.uint8
    assert torch.equal(wide[:, 2:5, 2:5], pixels)
    assert int(wide.sum()) == int(pixels.sum())
    assert pad(pixels, 0) is pixels


def corners(pixels: Tensor, crop: int) -> list[Tensor]:
    """Top left, top right, bottom left, bottom right and centre, cut by hand from maps."""
    end = pixels.shape[1] - crop
    middle = end // 2
    places = [(0, 0), (0, end), (end, 0), (end, end), (middle, middle)]
    return [maps_of(pixels)[:, :, y : y + crop, x : x + crop] for y, x in places]


@pytest.mark.parametrize("side", [11, 12])
def test_first_five_views(side: int) -> None:
    pixels = stored(2, side)
    views = ten_crop(pixels, rule(side, 7))
    assert len(views) == 10
    for found, expected in zip(views[:5], corners(pixels, 7), strict=True):
        assert torch.equal(found, expected)


def mirrored_places(side: int) -> None:
    pixels = stored(2, side)
    views = ten_crop(pixels, rule(side, 7))
    mirrors = [view.flip(3) for view in corners(pixels, 7)]
    for mirror in mirrors:
        assert sum(torch.equal(mirror, view) for view in views[5:]) == 1


def test_the_other_five_are_their_mirrors() -> None:
    mirrored_places(11)


def test_the_other_five_are_their_mirrors_when_the_room_is_odd() -> None:
    mirrored_places(12)


def test_first_and_last_views_are_five_different_places() -> None:
    views = ten_crop(stored(1, 11), rule(11, 7))
    assert len({tuple(view.flatten().tolist()) for view in views}) == 10


def test_fifth_view_is_the_centre_view() -> None:
    for side in (11, 12):
        values = rule(side, 7, mean=(1, 2, 3), std=(4, 5, 6))
        pixels = stored(2, side)
        assert torch.equal(ten_crop(pixels, values)[4], center_crop(pixels, values))


@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 2))
def test_a_mirrored_picture_has_the_same_ten_views(crop: int, half_room: int, pad: int) -> None:
    """So both get the same mean. Where the room is odd there is no exact centre to mirror."""
    side = crop + 2 * half_room - 2 * pad
    assume(side >= 1)
    pixels, values = stored(1, side), rule(side, crop, pad)
    ours = sorted(tuple(view.flatten().tolist()) for view in ten_crop(pixels, values))
    others = sorted(tuple(view.flatten().tolist()) for view in ten_crop(pixels.flip(2), values))
    assert ours == others


def test_ten_views_of_a_picture_without_room() -> None:
    """Five times the whole picture and five times its mirror image."""
    pixels = stored(2, 7)
    views = ten_crop(pixels, rule(7, 7))
    whole = maps_of(pixels)
    assert all(torch.equal(view, whole) for view in views[:5])
    assert all(torch.equal(view, whole.flip(3)) for view in views[5:])


def test_ten_views_with_padding() -> None:
    pixels = stored(1, 5)
    views = ten_crop(pixels, rule(5, 5, pad=1))
    assert not views[0][:, :, 0].any()
    assert not views[0][:, :, :, 0].any()
    assert torch.equal(views[0][:, :, 1:, 1:], maps_of(pixels)[:, :, :4, :4])
    assert torch.equal(views[4], maps_of(pixels))


def test_mean_image_is_subtracted_at_every_place() -> None:
    pixels = stored(2, 11)
    mean = torch.rand(3, 7, 7) * 100
    values = rule(11, 7, std=(2, 2, 2), has_mean_image=True, mean=(50, 50, 50))
    plain = rule(11, 7)
    for found, bare in zip(ten_crop(pixels, values, mean), ten_crop(pixels, plain), strict=True):
        assert torch.equal(found, (bare - mean) / 2)
    assert torch.equal(center_crop(pixels, values, mean), (center_crop(pixels, plain) - mean) / 2)


@pytest.mark.parametrize("crop", [1, 7, 11])
def test_views_leave_the_pixels_alone_and_are_channels_last(crop: int) -> None:
    pixels = stored(2, 11)
    before = pixels.clone()
    values = rule(11, crop, mean=(9, 9, 9))
    for view in [center_crop(pixels, values), *ten_crop(pixels, values)]:
        assert view.dtype == torch.float32
        assert view.shape == (2, 3, crop, crop)
        assert view.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"crop_size": 12},
            "takes 12 pixels but stored pictures have 11; set --resize-size to at least 12",
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
