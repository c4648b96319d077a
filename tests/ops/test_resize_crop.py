"""The kernel that resizes crops, beside torch's `interpolate`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet.config.preprocessing import RGB, Preprocessing
from alexnet.ops.library import KernelLibrary, load_kernels
from alexnet.ops.resize_crop import bilinear_filter, box_of, resize_crop
from alexnet.transforms.crops import center_crop, ten_crop

SIZES = (
    (140, 128),
    (224, 227),
    (40, 32),
    (64, 61),
    (9, 30),
    (227, 67),
    (500, 8),
    (3, 1),
    (1, 4),
    pytest.param(4096, 1365, marks=pytest.mark.slow),
)
"""Of a crop, before and after."""


@pytest.fixture(params=["fastest", pytest.param("baseline", marks=pytest.mark.slow)])
def kernels(
    request: pytest.FixtureRequest, built_kernels: object, monkeypatch: pytest.MonkeyPatch
) -> KernelLibrary:
    """The kernels of this CPU, and those without instructions for a product and a sum at once."""
    if request.param == "baseline":
        monkeypatch.setenv("ALEXNET_ISA", "baseline")
    found = load_kernels()
    assert found
    return found


@pytest.mark.parametrize(("size", "side"), SIZES)
def test_the_weights_are_those_of_torch(size: int, side: int) -> None:
    impulses = torch.eye(size)[None, None]
    resized = F.interpolate(impulses, size=(size, side), mode="bilinear", antialias=True)[0, 0]
    first, weights = bilinear_filter(size, side)
    expected = np.zeros((size + weights.shape[1], side), np.float32)
    for i in range(side):
        expected[first[i] : first[i] + weights.shape[1], i] = weights[i]
    assert np.array_equal(resized.numpy(), expected[:size])
    assert not expected[size:].any()


@pytest.mark.parametrize(("size", "side"), SIZES)
def test_crops_are_those_of_torch(size: int, side: int, kernels: KernelLibrary) -> None:
    generator = torch.Generator().manual_seed(size)
    stored, top, left = size + 5, 2, 3
    pixels = torch.randint(256, (3, stored, stored, 3), dtype=torch.uint8, generator=generator)
    mean = torch.rand(side, side, 3, generator=generator) * 255
    std = torch.tensor([50.0, 1.0, 70.0])
    shifts = torch.tensor([[0.0, 0.0, 0.0], [8.0, -3.0, 1.0], [-20.0, 5.5, 90.0]])
    for is_mirrored, is_upside_down in itertools.product((False, True), repeat=2):
        crop = pixels[:, top : top + size, left : left + size].float()
        crop = crop.flip([1] * is_upside_down + [2] * is_mirrored).permute(0, 3, 1, 2)
        resized = F.interpolate(crop, size=(side, side), mode="bilinear", antialias=True)
        expected = (resized.permute(0, 2, 3, 1) + shifts[:, None, None] - mean) / std
        box = torch.tensor(box_of(top, left, size, is_mirrored))
        if is_upside_down:
            box[2:] = torch.tensor([top + size - 1.0, -1.0])
        boxes, crops = box.repeat(3, 1), torch.full((3, side, side, 3), torch.nan)
        found = resize_crop(kernels, pixels, boxes, shifts, size, mean, std, crops)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
        place = pixels.numpy(), boxes.numpy(), shifts.numpy(), size
        again = resize_crop(kernels, *place, mean.numpy(), std.numpy(), np.empty_like(crops))
        assert np.array_equal(again, found.numpy())


@pytest.mark.parametrize(
    ("mean", "std"),
    [((120.0, 110.0, 100.0), (50.0, 60.0, 70.0)), ((120, 110, 100), (1, 1, 1))],
    ids=["floats", "whole numbers"],
)
@pytest.mark.parametrize("has_mean_image", [False, True])
def test_evaluation_takes_the_kernel(
    has_mean_image: bool,
    mean: RGB,
    std: RGB,
    kernels: KernelLibrary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    preprocessing = Preprocessing(
        resize_size=40, padding=2, crop_size=40, input_size=31,
        mean=mean, std=std, has_mean_image=has_mean_image,
    )  # fmt: skip
    pixels = torch.randint(256, (2, 40, 40, 3), dtype=torch.uint8, generator=generator)
    mean_image = torch.rand(3, 31, 31, generator=generator) * 255 if has_mean_image else None
    found = [
        center_crop(pixels, preprocessing, mean_image),
        *ten_crop(pixels, preprocessing, mean_image),
    ]
    monkeypatch.setattr(F, "interpolate", None)
    again = [
        center_crop(pixels, preprocessing, mean_image),
        *ten_crop(pixels, preprocessing, mean_image),
    ]
    monkeypatch.undo()
    monkeypatch.setenv("ALEXNET_KERNELS", "0")
    expected = [
        center_crop(pixels, preprocessing, mean_image),
        *ten_crop(pixels, preprocessing, mean_image),
    ]
    for one, same, by_torch in zip(found, again, expected, strict=True):
        assert torch.equal(one, same)
        assert one.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(one, by_torch, rtol=0, atol=1e-4)


def test_gray_images_are_resized_by_torch() -> None:
    preprocessing = Preprocessing(
        resize_size=40, crop_size=40, input_size=31, channels=1, mean=(1.0,) * 3
    )
    pixels = torch.randint(256, (2, 40, 40, 3), dtype=torch.uint8)
    assert center_crop(pixels, preprocessing).shape == (2, 1, 31, 31)
