"""Rotations, shears and translations are those of Pillow, alone and in one resampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.transforms.affine import (
    crop_affine,
    rotate,
    shear_matrices,
    translation_matrices,
)
from alexnet.transforms.crops import to_float_chw
from support.augmenters import BARE, augmenter, seeded, stored
from support.kernels import needs_kernels

FILL = (9, 120, 200)
SIDE = 23


def image(side: int = SIDE) -> Tensor:
    """Random pixels [1, side, side, 3]."""
    return torch.randint(0, 256, (1, side, side, 3), generator=seeded(1), dtype=torch.uint8)


def floats(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float()


def pillow(pixels: Tensor, matrix: Tensor, size: int, fill: tuple[int, ...] = FILL) -> np.ndarray:
    """The same by Pillow, whose coordinates begin at the corner of the first pixel."""
    (a, b, c), (d, e, f) = matrix[:2].double().tolist()
    coefficients = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    turned = Image.fromarray(pixels.numpy()).transform(
        (size, size),
        Image.Transform.AFFINE,
        coefficients,
        resample=Image.Resampling.BILINEAR,
        fillcolor=fill,
    )
    return np.asarray(turned)


def assert_close(ours: Tensor, theirs: np.ndarray) -> None:
    """Equal, but Pillow rounds down, and for few pixels at the very edge of the image."""
    difference = (ours.permute(1, 2, 0) - torch.from_numpy(theirs.copy()).float()).abs().amax(2)
    assert float((difference > 1.01).float().mean()) < 0.004


@pytest.mark.parametrize("degrees", [0.0, 17.3, -42.0, 133.0])
def test_a_rotation_is_pillows(degrees: float) -> None:
    pixels = image()
    ours = rotate(floats(pixels), torch.tensor([degrees]), torch.tensor(FILL).float())
    theirs = Image.fromarray(pixels[0].numpy()).rotate(
        degrees, resample=Image.Resampling.BILINEAR, fillcolor=FILL
    )
    assert_close(ours[0], np.asarray(theirs))
    if degrees == 0:
        assert torch.allclose(ours, floats(pixels), atol=1e-3)


def test_four_quarter_turns_give_the_image() -> None:
    images, fill = floats(image()), torch.zeros(3)
    turned = rotate(images, torch.tensor([90.0]), fill)
    assert torch.allclose(turned, images.rot90(1, (2, 3)), atol=1e-2)


@pytest.mark.parametrize(("x", "y"), [(0.3, 0.0), (0.0, -0.2)])
def test_a_shear_fixes_the_top_left_corner(x: float, y: float) -> None:
    pixels = image()
    matrix = shear_matrices(torch.tensor([x]), torch.tensor([y]))
    ours = crop_affine(floats(pixels), matrix, SIDE, torch.tensor(FILL).float())
    coefficients = (1, x, 0, y, 1, 0)
    theirs = Image.fromarray(pixels[0].numpy()).transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        coefficients,
        resample=Image.Resampling.BILINEAR,
        fillcolor=FILL,
    )
    assert_close(ours[0], np.asarray(theirs))


def test_a_translation_moves_to_the_right_and_down_and_fills() -> None:
    images, fill = floats(image()), torch.tensor(FILL).float()
    matrix = translation_matrices(torch.tensor([4.0]), torch.tensor([-3.0]))
    moved = crop_affine(images, matrix, SIDE, fill)
    assert torch.allclose(moved[:, :, :-3, 4:], images[:, :, 3:, :-4], atol=1e-2)
    assert torch.equal(moved[0, :, -3:], fill[:, None, None].expand(3, 3, SIDE))
    assert torch.equal(moved[0, :, :, :4], fill[:, None, None].expand(3, SIDE, 4))


EVERYTHING = Augmentation(
    min_scale=0.4, max_aspect_ratio=1.4, vertical_flip=True, rotation=40, color_std=0.0
)


@pytest.mark.parametrize(
    "options", [EVERYTHING, replace(EVERYTHING, min_scale=1.0, max_aspect_ratio=1.0)]
)
def test_crop_flips_and_rotation_are_one_resampling(options: Augmentation) -> None:
    """Beyond the crop is the stored image, and beyond that its mean colour."""
    pixels = image().expand(12, -1, -1, -1)
    augment = augmenter(options, SIDE, 13, mean=FILL)
    images, applied = augment.apply(pixels, seeded())
    assert applied.angles is not None
    assert 20 < float(applied.angles.abs().max()) <= 40
    on_scale = images + torch.tensor(FILL)[:, None, None]
    for ours, matrix in zip(on_scale, applied.matrices(), strict=True):
        assert_close(ours, pillow(pixels[0], matrix, 13))


def test_a_rotated_center_crop_is_cut_from_the_rotated_image() -> None:
    pixels = image()
    augment = augmenter(replace(BARE, rotation=30), SIDE, 13)
    images, applied = augment.apply(pixels, seeded())
    assert applied.angles is not None
    whole = rotate(floats(pixels), applied.angles, torch.zeros(3))
    assert torch.allclose(images, whole[:, :, 5:18, 5:18], atol=1e-2)


def test_angles_are_uniform_and_differ_within_a_batch() -> None:
    pixels = stored(1).expand(2000, -1, -1, -1)
    _, applied = augmenter(replace(BARE, rotation=90)).apply(pixels, seeded())
    assert applied.angles is not None
    counts = torch.histc(applied.angles, 4, -90, 90)
    assert int(counts.sum()) == 2000
    assert float((counts - 500).abs().max()) < 100  # 5 standard deviations


def test_a_rotated_gray_image() -> None:
    pixels = stored(3, 28)
    options = replace(BARE, rotation=20)
    images, applied = augmenter(options, 28, 28, channels=1, mean=(7, 7, 7)).apply(pixels, seeded())
    assert images.shape == (3, 1, 28, 28)
    assert applied.angles is not None
    gray = to_float_chw(pixels, augmenter(options, channels=1).preprocessing)
    assert torch.allclose(images + 7, rotate(gray, applied.angles, torch.full((1,), 7.0)))


@needs_kernels
@pytest.mark.parametrize("has_mean_image", [False, True])
def test_the_kernel_rotates_in_the_same_way(has_mean_image: bool) -> None:
    mean_image = torch.rand(3, 7, 7) * 255 if has_mean_image else None
    options = replace(EVERYTHING, color_std=0.3)
    augment = augmenter(options, mean_image=mean_image, mean=(120, 110, 100), std=(60, 61, 62))
    pixels = stored(20)
    fused = augment(pixels, seeded(3))
    plain = replace(augment, use_kernel=False)(pixels, seeded(3))
    assert fused.is_contiguous(memory_format=torch.channels_last)
    assert plain.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-3)
    assert fused.std() > 0.1
