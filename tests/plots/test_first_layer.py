"""The plot of the first layer's filters: their order, their ranges, and when there is none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.models.network import create_model
from alexnet.plots import filters, noise_note, to_numpy
from alexnet.plots.first_layer import MIN_SMOOTHNESS, filter_order, mosaic, num_columns, smoothness


def grating(angle: float, color: tuple[float, float, float] = (1, 1, 1)) -> torch.Tensor:
    """A filter [3, 11, 11] of stripes that are turned by an angle from the horizontal."""
    y, x = torch.meshgrid(torch.arange(11.0), torch.arange(11.0), indexing="ij")
    waves = torch.sin(y * math.cos(angle) - x * math.sin(angle))
    return waves * torch.tensor(color)[:, None, None]


def test_gray_filters_are_sorted_by_orientation_and_colored_ones_by_hue() -> None:
    gray = [grating(a * math.pi / 6 + 0.1) for a in range(6)]
    flat = torch.ones(3, 11, 11)
    red, green, blue = (flat * torch.eye(3)[i][:, None, None] for i in range(3))
    in_order = torch.stack([*gray, red, green, blue])
    shuffled = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    order = filter_order(in_order[shuffled])
    assert shuffled[torch.from_numpy(order)].tolist() == list(range(9))


@pytest.mark.parametrize("channels", [1, 3, 48])
def test_each_filter_has_its_own_range(channels: int) -> None:
    weight = torch.arange(3 * channels * 4.0).reshape(3, channels, 2, 2)
    (axes,) = filters(weight, "title").axes
    pixels = np.asarray(axes.images[0].get_array())
    assert pixels.shape[2] == 3
    for tile in (pixels[:2, :2], pixels[:2, 3:5]):
        assert (tile.min(), tile.max()) == (0, 1)
    if channels != 3:
        assert np.array_equal(pixels[..., 0], pixels[..., 1]), "gray"


def test_tiles_stand_in_rows_with_white_between_them() -> None:
    image = mosaic(np.stack([np.full((1, 1, 3), i / 10) for i in range(7)]))
    assert image[..., 0].tolist() == [
        [0.0, 1, 0.1, 1, 0.2, 1, 0.3], [1] * 7, [0.4, 1, 0.5, 1, 0.6, 1, 1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (6, 3), (12, 6), (48, 12), (64, 16), (96, 16), (7, 4)]
)
def test_rows_of_tiles_are_full_where_that_is_possible(count: int, columns: int) -> None:
    assert num_columns(count) == columns


@pytest.mark.parametrize("name", ["cifar_quick", "lenet5"])
def test_initial_weights_are_noise(name: str) -> None:
    weight = create_model(name).get_parameter("conv1.weight")
    assert abs(smoothness(weight)) < MIN_SMOOTHNESS
    told = noise_note(weight, Path("my run"))
    assert "look like noise" in told
    assert "drawn by alexnet info 'my run' --filters filters.png" in told
    assert "show no structure" in filters(weight).get_supxlabel()


def test_filters_that_a_trained_network_has_are_no_noise() -> None:
    stripes = torch.stack([grating(0.7), grating(2.0)])
    colors = torch.eye(3)[:, :, None, None].expand(3, 3, 5, 5)
    for weight in (stripes, colors):
        noisy = weight + 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
        assert smoothness(noisy) > 2 * MIN_SMOOTHNESS
        assert noise_note(noisy, Path("run")) == ""
        assert filters(noisy).get_supxlabel() == ""


def test_filters_of_one_pixel_are_not_shown() -> None:
    weight = torch.ones(4, 3, 1, 1)
    assert "one pixel" in noise_note(weight, Path("run"))
    assert len(filters(weight).axes) == 1


def test_equal_weights_have_no_contrast() -> None:
    assert noise_note(torch.zeros(4, 3, 5, 5), Path("run")) != ""
    assert filter_order(torch.zeros(4, 3, 5, 5)).tolist() == [0, 1, 2, 3]


def test_to_numpy() -> None:
    found = to_numpy(torch.tensor([1.5, 2.0], dtype=torch.bfloat16, requires_grad=True))
    assert found.dtype == np.float32
    assert found.tolist() == [1.5, 2.0]


def test_towers_are_apart_and_each_is_sorted() -> None:
    """As in the paper's figure 3."""
    gray = [grating(a * math.pi / 6 + 0.1) for a in range(4)]
    weight = torch.stack([gray[1], gray[0], gray[3], gray[2]])
    first, second = filters(weight, "", 2).axes
    assert first.get_title("left") == "tower 1: channels 0 to 1"
    assert second.get_title("left") == "tower 2: channels 2 to 3"
    for axes, part in ((first, weight[[1, 0]]), (second, weight[[3, 2]])):
        (expected,) = filters(part).axes
        shown = np.asarray(axes.images[0].get_array())
        assert np.array_equal(shown, np.asarray(expected.images[0].get_array()))
