"""RandAugment's operations on colours are Pillow's, on images of whole values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from alexnet.transforms.randaugment import COLOR
from support.augmenters import seeded

STRENGTHS = (-1.0, -0.4, 0.0, 0.3, 0.9)


def images() -> Tensor:
    """Random images of the values 20 to 229, the last one of few colours: [5, 3, 48, 48]."""
    pixels = torch.randint(20, 230, (5, 3, 48, 48), generator=seeded(2)).float()
    pixels[4] = (pixels[4] / 60).round() * 60
    return pixels


def enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[..., Image.Image]:
    return lambda image, strength: kind(image).enhance(1 + 0.9 * strength)


PILLOW: dict[str, Callable[..., Image.Image]] = {
    "brightness": enhanced(ImageEnhance.Brightness),
    "color": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "sharpness": enhanced(ImageEnhance.Sharpness),
    "posterize": lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    "solarize": lambda image, s: ImageOps.solarize(image, 256 * (1 - abs(s))),
    "autocontrast": lambda image, s: ImageOps.autocontrast(image),
    "equalize": lambda image, s: ImageOps.equalize(image),
}


@pytest.mark.parametrize("name", COLOR)
@pytest.mark.parametrize("is_gray", [False, True])
def test_an_operation_is_pillows(name: str, is_gray: bool) -> None:
    """Pillow rounds the grey values, the means and the results that are blended: up to 2 levels."""
    pixels = images()[:, :1] if is_gray else images()
    before = pixels.clone()
    ours = COLOR[name](pixels, torch.tensor(STRENGTHS)[:, None, None, None])
    assert torch.equal(pixels, before)
    exact = name in ("posterize", "solarize", "equalize")
    for result, image, strength in zip(ours, pixels, STRENGTHS, strict=True):
        array = image.permute(1, 2, 0).to(torch.uint8).numpy()
        theirs = PILLOW[name](Image.fromarray(array[..., 0] if is_gray else array), strength)
        expected = torch.from_numpy(np.array(theirs, dtype=np.float32)).reshape(array.shape)
        difference = (result.permute(1, 2, 0) - expected).abs().max()
        assert float(difference) <= (0 if exact else 2), strength


@pytest.mark.parametrize("name", sorted(set(COLOR) - {"autocontrast", "equalize"}))
def test_nothing_changes_at_strength_0(name: str) -> None:
    pixels = torch.rand(2, 3, 9, 9, generator=seeded()) * 255
    pixels[0, :, 0] = torch.tensor([0.0, 255.0, 128.0])[:, None]
    assert torch.allclose(COLOR[name](pixels, torch.zeros(2, 1, 1, 1)), pixels, atol=1e-4)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_a_channel_of_one_value_stays(name: str) -> None:
    pixels = torch.full((1, 3, 4, 4), 77.25)
    assert torch.equal(COLOR[name](pixels, torch.ones(1, 1, 1, 1)), pixels)


@pytest.mark.parametrize("name", COLOR)
def test_values_stay_on_the_scale(name: str) -> None:
    pixels = torch.rand(5, 3, 9, 9, generator=seeded()) * 255
    changed = COLOR[name](pixels, torch.tensor(STRENGTHS)[:, None, None, None])
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 255 + 1e-4
