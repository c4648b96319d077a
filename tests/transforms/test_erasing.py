"""Random erasing: how often, how large, and nothing but a rectangle."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alexnet.config.augmentation import Augmentation
from alexnet.errors import ConfigError
from alexnet.transforms.erasing import erase_boxes, random_erasing, random_erasing_boxes
from support.augmenters import BARE, augmenter, seeded, stored


def test_areas_and_ratios_are_those_of_the_paper() -> None:
    top, left, height, width = random_erasing_boxes(4000, 100, 100, 1.0, seeded()).T.float()
    area, ratio = height * width / 1e4, height / width
    assert 0.018 < float(area.min()) < 0.03
    assert 0.37 < float(area.max()) < 0.41
    assert 0.28 < float(ratio.min()) < 0.33
    assert 3.0 < float(ratio.max()) < 3.6
    assert float((height > width).float().mean()) == pytest.approx(0.5, abs=0.04)
    for first, side in ((top, height), (left, width)):
        assert float(first.min()) == 0
        assert float((first + side).max()) == 100


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_as_many_images_as_the_probability_says(p: float) -> None:
    height, width = random_erasing_boxes(4000, 20, 20, p, seeded())[:, 2:].T
    assert torch.equal(height > 0, width > 0)
    assert float((height > 0).float().mean()) == pytest.approx(p, abs=0.035 if 0 < p < 1 else 0)


@pytest.mark.parametrize(("height", "width"), [(20, 20), (3, 3), (1, 1), (10, 40)])
def test_only_the_rectangle_is_touched(height: int, width: int) -> None:
    images = torch.rand(50, 3, height, width) + 1
    before, boxes = images.clone(), random_erasing_boxes(50, height, width, 0.7, seeded())
    erase_boxes(images, boxes)
    for image, old, (top, left, h, w) in zip(images, before, boxes.tolist(), strict=True):
        assert top + h <= height
        assert left + w <= width
        old[:, top : top + h, left : left + w] = 0
        assert torch.equal(image, old)


def test_the_function_leaves_its_images() -> None:
    images = torch.ones(30, 1, 8, 8)
    erased = random_erasing(images, 0.5, seeded())
    assert images.min() == 1
    assert set(erased.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("use_kernel", [True, False])
def test_erased_pixels_are_the_mean_color(use_kernel: bool) -> None:
    """Last, so that neither colors nor contrast change them."""
    options = replace(BARE, random_erasing=1.0, color_std=0.5, contrast_std=0.3)
    augment = augmenter(options, mean=(120, 110, 100), std=(60, 61, 62))
    images, applied = replace(augment, use_kernel=use_kernel).apply(stored(), seeded())
    assert applied.erased is not None
    plain = replace(augment, options=replace(options, random_erasing=0.0))(stored(), seeded())
    erase_boxes(plain, applied.erased)
    assert torch.allclose(images, plain, atol=1e-5)
    assert int((images == 0).all(1).sum()) >= int((applied.erased[:, 2:].prod(1)).sum()) > 4


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_probability_out_of_range_is_rejected(p: float) -> None:
    with pytest.raises(ConfigError, match="--random-erasing"):
        Augmentation(random_erasing=p)
