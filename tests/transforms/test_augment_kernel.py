"""The C kernel gives the same training crops as the PyTorch operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet.config.augmentation import Augmentation
from support.augmenters import BARE, augmenter, seeded, stored
from support.kernels import needs_kernels

SCALED = Augmentation(min_scale=0.2, max_aspect_ratio=1.5, color_std=0.3)


@needs_kernels
@pytest.mark.parametrize("has_mean_image", [False, True])
@pytest.mark.parametrize(
    "options",
    [SCALED, replace(SCALED, crop="center", flip=False), Augmentation(), BARE],
    ids=["scaled", "scaled in the centre", "integer", "bare"],
)
def test_the_kernel_gives_the_same_crops(options: Augmentation, has_mean_image: bool) -> None:
    """Integer crops to the last bit; bilinear ones to the precision of a float32 coordinate."""
    mean_image = torch.rand(3, 7, 7) * 255 if has_mean_image else None
    augment = augmenter(options, mean_image=mean_image, mean=(120, 110, 100), std=(60, 61, 62))
    fused = augment(stored(), seeded(3))
    plain = replace(augment, use_kernel=False)(stored(), seeded(3))
    assert fused.is_contiguous(memory_format=torch.channels_last)
    is_scaled = options.min_scale < 1
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-4 if is_scaled else 0)
    assert fused.std() > 0.1


@needs_kernels
@pytest.mark.parametrize("input_size", [4, 5, 16])
@pytest.mark.parametrize("has_mean_image", [False, True])
@pytest.mark.parametrize("options", [Augmentation(vertical_flip=True), BARE], ids=["all", "bare"])
def test_the_kernel_resizes_crops(
    options: Augmentation, has_mean_image: bool, input_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, on a CPU that rounds a product and a sum once."""
    mean_image = torch.rand(3, input_size, input_size) * 255 if has_mean_image else None
    augment = augmenter(options, mean_image=mean_image, input_size=input_size)
    plain = replace(augment, use_kernel=False)(stored(), seeded(3))
    monkeypatch.setattr(F, "interpolate", None)
    fused = augment(stored(), seeded(3))
    assert fused.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-4)


def test_what_the_kernel_cannot_do_is_left_to_pytorch() -> None:
    """Grey images, noise, and crops that are rotated and then resized."""
    pixels = stored()
    augmenters = [
        augmenter(BARE, channels=1),
        augmenter(replace(BARE, noise_std=1.0)),
        augmenter(replace(BARE, rotation=10.0), input_size=5),
    ]
    for augment in augmenters:
        assert not augment._can_use_kernel(pixels, augment.choose(len(pixels), 9, seeded()))
        plain = replace(augment, use_kernel=False)
        assert torch.equal(plain(pixels, seeded()), augment(pixels, seeded()))
