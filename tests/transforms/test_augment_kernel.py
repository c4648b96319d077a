"""Training views made in one pass over the bytes are those of torch's operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import alexnet.transforms.augment
from alexnet.config.recipe import Augmentation
from support.augmenters import BARE, augmenter, seeded, stored
from support.kernels import has_kernels

SCALED = Augmentation(min_scale=0.2, max_aspect_ratio=1.5, color_std=0.3)


@has_kernels
@pytest.mark.parametrize("has_mean_image", [False, True])
@pytest.mark.parametrize(
    "options",
    [SCALED, replace(SCALED, crop="center", flip=False), Augmentation(), BARE],
    ids=["scaled", "scaled in the centre", "exact", "bare"],
)
def test_one_pass_gives_the_same_views(
    options: Augmentation, has_mean_image: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact crops to the last bit; scaled ones to what float32 leaves of a place."""
    mean_image = torch.rand(3, 7, 7) * 255 if has_mean_image else None
    maker = augmenter(options, mean_image=mean_image, mean=(120, 110, 100), std=(60, 61, 62))
    fused = maker(stored(), seeded(3))
    monkeypatch.setattr(alexnet.transforms.augment, "kernels", lambda: None)
    plain = maker(stored(), seeded(3))
    assert fused.is_contiguous(memory_format=torch.channels_last)
    is_scaled = options.min_scale < 1
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-4 if is_scaled else 0)
    assert fused.std() > 0.1


def test_what_one_pass_cannot_do_is_done_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey pictures, noise, and crops that are smoothed as they shrink."""
    pixels = stored()
    makers = [
        augmenter(BARE, channels=1),
        augmenter(replace(BARE, noise_std=1.0)),
        augmenter(BARE, input_size=5),
    ]
    assert not [maker for maker in makers if maker._can_use_kernel(pixels)]
    assert augmenter(BARE)._can_use_kernel(pixels)
    whole = [maker(pixels, seeded()) for maker in makers]
    monkeypatch.setattr(alexnet.transforms.augment, "kernels", lambda: None)
    assert all(
        torch.equal(maker(pixels, seeded()), views)
        for maker, views in zip(makers, whole, strict=True)
    )
