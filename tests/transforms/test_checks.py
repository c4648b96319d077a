"""Images of another type, shape or order of axes are refused, and the error says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ConfigError, UsageError
from alexnet.transforms import (
    center_crop,
    cutmix,
    denormalize,
    mix,
    mixup,
    normalize,
    rand_augment,
    random_erasing,
    rotate,
    ten_crop,
)
from support.augmenters import augmenter, seeded, stored
from support.kernels import needs_kernels

SIDE, CROP, INPUT = 12, 7, 5
LABELS, FILL, MIXED = torch.tensor([0, 1]), torch.zeros(3), Augmentation(cutmix=0.5, mixup=0.2)


def preprocessing(input_size: int | None) -> Preprocessing:
    return Preprocessing(resize_size=SIDE, crop_size=CROP, input_size=input_size)


OF_STORED: dict[str, Callable[[Tensor, int | None], object]] = {
    "augment": lambda x, size: augmenter(Augmentation(), input_size=size)(x, seeded()),
    "apply": lambda x, size: augmenter(Augmentation(), input_size=size).apply(x, seeded()),
    "affine": lambda x, size: augmenter(Augmentation(rotation=9), input_size=size)(x, seeded()),
    "center_crop": lambda x, size: center_crop(x, preprocessing(size)),
    "ten_crop": lambda x, size: ten_crop(x, preprocessing(size)),
}
NOT_STORED: dict[str, tuple[Any, str]] = {
    "channels first": (
        torch.zeros(2, 3, 12, 12, dtype=torch.uint8),
        r"not uint8 \[2, 3, 12, 12\]; use .permute\(0, 2, 3, 1\), or load_splits without channels",
    ),
    "float": (torch.zeros(2, 12, 12, 3), r"not float32 \[2, 12, 12, 3\]$"),
    "one image": (
        torch.zeros(12, 12, 3, dtype=torch.uint8), r"\[12, 12, 3\]; images\[None\] has the batch",
    ),
    "gray": (torch.zeros(2, 12, 12, 1, dtype=torch.uint8), r"not uint8 \[2, 12, 12, 1\]$"),
    "RGBA": (torch.zeros(2, 12, 12, 4, dtype=torch.uint8), r"not uint8 \[2, 12, 12, 4\]$"),
    "tall": (torch.zeros(2, 12, 9, 3, dtype=torch.uint8), r"not uint8 \[2, 12, 9, 3\]$"),
    "wide": (torch.zeros(2, 9, 12, 3, dtype=torch.uint8), r"not uint8 \[2, 9, 12, 3\]$"),
    "small": (torch.zeros(2, 6, 6, 3, dtype=torch.uint8), r"S of at least 7, not uint8 \[2, 6"),
    "array": (stored(2).numpy(), r"not an array uint8 \[2, 12, 12, 3\]; torch.from_numpy\(array\)"),
    "list": ([stored(2)], "not a list; torch.from_numpy"),
}  # fmt: skip


@pytest.mark.parametrize("input_size", [None, INPUT])
@pytest.mark.parametrize("transform", OF_STORED.values(), ids=OF_STORED)
@pytest.mark.parametrize(("images", "message"), NOT_STORED.values(), ids=NOT_STORED)
def test_what_is_no_stored_image_is_refused(
    images: Any, message: str, transform: Callable[[Any, int | None], object],
    input_size: int | None,
) -> None:  # fmt: skip
    transform(stored(2), input_size)
    with pytest.raises(UsageError, match=r"^stored images are a tensor uint8 \[B, S, S, 3\].*"):
        transform(images, input_size)
    with pytest.raises(UsageError, match=message):
        transform(images, input_size)


@pytest.mark.parametrize(("count", "side"), [(3, 12), (2, 14), (2, 11)])
def test_choices_for_other_images_are_refused(count: int, side: int) -> None:
    augment = augmenter(Augmentation(), input_size=INPUT, padding=1)
    applied = augment.choose(count, side, seeded())
    with pytest.raises(UsageError, match=f"for {count} images of {side + 2} pixels .* 2 of 14$"):
        augment.run(stored(2), applied)
    assert len(augment.run(stored(count, side), applied)) == count


@needs_kernels
@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 6, 5), (5, 5, 3)])
def test_a_mean_image_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^the mean image must be \[3, 5, 5\], .*, not \[\d"):
        center_crop(stored(2), preprocessing(INPUT), torch.zeros(shape))
    with pytest.raises(ConfigError, match=r"^the mean image must be \[3, 7, 7\], .*, not \[\d"):
        augmenter(Augmentation(), mean_image=torch.zeros(shape))(stored(2), seeded())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
@pytest.mark.parametrize("input_size", [None, INPUT])
@pytest.mark.parametrize("use_kernel", [True, False])
def test_a_mean_image_of_another_type_is_the_same(
    dtype: torch.dtype, input_size: int | None, use_kernel: bool
) -> None:
    side = input_size or CROP
    mean = torch.arange(3 * side**2).reshape(3, side, side).float()
    axes = torch.eye(3, dtype=dtype if dtype == torch.float64 else None)
    for options in (Augmentation(), Augmentation(rotation=9), Augmentation(rand_augment=(2, 5))):
        augment = augmenter(options, mean_image=mean, input_size=input_size)
        augment = replace(augment, use_kernel=use_kernel, color_principal_axes=torch.eye(3))
        other = replace(augment, mean_image=mean.to(dtype), color_principal_axes=axes)
        found, expected = other(stored(2), seeded()), augment(stored(2), seeded())
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)
    own = preprocessing(input_size)
    found = center_crop(stored(2), own, mean.to(dtype))
    assert torch.equal(found, center_crop(stored(2), own, mean))
    assert len(ten_crop(stored(2), own, mean.to(dtype))) == 10
    assert torch.equal(denormalize(found, own, mean.to(dtype)), denormalize(found, own, mean))


@needs_kernels
def test_colors_of_another_shape_are_refused() -> None:
    augment = replace(augmenter(Augmentation()), color_principal_axes=torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"shifts must be float32 \[2, 3\], not float32 \[2, 2\]"):
        augment(stored(2), seeded())


OF_IMAGES: dict[str, Callable[[Tensor], object]] = {
    "random_erasing": lambda x: random_erasing(x, 0.5, seeded()),
    "cutmix": lambda x: cutmix(x, LABELS, 2, 1.0, seeded()),
    "mixup": lambda x: mixup(x, LABELS, 2, 0.2, seeded()),
    "mix": lambda x: mix(x, LABELS, 2, MIXED, seeded()),
    "rotate": lambda x: rotate(x, torch.tensor([10.0, 20.0]), FILL),
    "rand_augment": lambda x: rand_augment(x, 2, 5, FILL, seeded()),
    "normalize": lambda x: normalize(x, preprocessing(None), None),
    "denormalize": lambda x: denormalize(x, preprocessing(None), None),
}
NO_IMAGES: dict[str, tuple[Any, str]] = {
    "the loader's": (
        stored(2),
        r"uint8 \[2, 12.*; if the channels are last, use images.permute\(0, 3, 1, 2\).float\(\)$",
    ),
    "channels last": (
        stored(2).float(), r"\[2, 12.*; if the channels are last, use images.permute\(0, 3, 1, 2\)$"
    ),
    "uint8": (stored(2).permute(0, 3, 1, 2), r"not uint8 \[2, 3, 12, 12\]; use images.float\(\)$"),
    "one image": (torch.zeros(3, 12, 12), r"12\]; if it is one image, images\[None\] is a batch$"),
    "array": (stored(2).numpy(), r"not an array uint8 \[2, 12, 12, 3\]; torch.from_numpy\(array\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name not in ("cutmix", "mixup")])
@pytest.mark.parametrize(("images", "message"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_batch_of_channels_first_is_refused(
    images: Any, message: str, name: str
) -> None:
    OF_IMAGES[name](stored(2).permute(0, 3, 1, 2).float())
    with pytest.raises(UsageError, match=r"^images are a tensor float \[B, .*" + message):
        OF_IMAGES[name](images)


MAPS = [(2, 256, 4, 4), (2, 512, 1, 1), (2, 64, 1, 7), (2, 3, 12, 9), (2, 8, 3, 3)]


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("name", ["random_erasing", "cutmix", "mixup", "mix"])
def test_feature_maps_are_taken(name: str, shape: tuple[int, ...]) -> None:
    OF_IMAGES[name](torch.rand(shape))


def test_feature_maps_are_rotated() -> None:
    assert rotate(torch.rand(2, 256, 4, 4), torch.zeros(2), torch.zeros(256)).shape[1] == 256


@pytest.mark.parametrize("shape", [(2, 256), (2,), (2, 1, 16000), (2, 3, 4, 8, 8), (2, 12, 12, 3)])
def test_mixup_takes_any_batch_of_floats(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape)
    mixed, targets, is_mixed = mixup(images, LABELS, 2, 1.0, seeded())
    weight = float(targets[0, 0])
    assert is_mixed
    assert torch.allclose(mixed[0], images[0].lerp(images[1], 1 - weight))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 12, 12, dtype=torch.uint8), r"not uint8 .*; use images.float\(\)$"),
        (torch.zeros(2, 16, dtype=torch.long), r"not int64 \[2, 16\]; use images.float\(\)$"),
        (stored(2).numpy(), r"not an array uint8 .*; torch.from_numpy\(array\) makes one$"),
        (torch.zeros(()), r"float \[B, ...\], not float32 \[\]$"),
    ],
)
def test_what_mixup_does_not_take(images: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mixup(images, LABELS, 2, 0.2, seeded())


@pytest.mark.parametrize("name", ["mixup", "cutmix", "mix"])
@pytest.mark.parametrize("labels", [torch.zeros(3), torch.zeros(()), torch.zeros(2, 2), [0, 1]])
def test_there_is_one_label_of_each_image(
    name: str, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "LABELS", labels)
    with pytest.raises(UsageError, match=r"^labels are a tensor \[2\], one of each image, not "):
        OF_IMAGES[name](torch.rand(2, 3, 12, 12))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float16])
def test_cutmix_takes_images_of_any_type(dtype: torch.dtype) -> None:
    images = stored(2).permute(0, 3, 1, 2).to(dtype)
    only = Augmentation(cutmix=1.0)
    for mixed, _, is_mixed in (
        cutmix(images, LABELS, 2, 1.0, seeded()),
        mix(images, LABELS, 2, only, seeded()),
    ):
        assert is_mixed
        assert mixed.dtype == dtype


@pytest.mark.parametrize("name", ["the loader's", "channels last", "one image", "array"])
def test_what_cutmix_does_not_take(name: str) -> None:
    images, message = NO_IMAGES[name]
    pattern = r"^images are a tensor \[B, C, h, w\], .*" + message.replace(r".float\(\)", "")
    with pytest.raises(UsageError, match=pattern):
        cutmix(images, LABELS, 2, 1.0, seeded())


def test_no_axes_are_exchanged_where_the_channels_may_be_first() -> None:
    with pytest.raises(UsageError, match=r"not uint8 \[2, 9, 4, 4\]; use images.float\(\)$"):
        rotate(torch.zeros(2, 9, 4, 4, dtype=torch.uint8), torch.zeros(2), FILL)


def test_rand_augment_takes_a_fourth_channel_and_no_second() -> None:
    images = 255 * torch.rand(2, 4, 12, 12)
    assert rand_augment(images, 9, 5, torch.zeros(4), seeded()).shape == images.shape
    with pytest.raises(
        UsageError, match=r"\[B, 1 or 3 or 4, S, S\], not float32 \[2, 2, 12, 12\]$"
    ):
        rand_augment(images[:, :2], 9, 5, torch.zeros(2), seeded())


@pytest.mark.parametrize("name", ["rotate", "rand_augment"])
def test_what_turns_images_takes_squares(name: str) -> None:
    with pytest.raises(UsageError, match=r"float \[B, .*S, S\], not float32 \[2, 3, 12, 9\]$"):
        OF_IMAGES[name](torch.zeros(2, 3, 12, 9))


def test_gray_images_and_those_of_many_channels_are_mixed_and_erased() -> None:
    for channels in (1, 8):
        images = torch.rand(2, channels, 12, 9)
        for name in ("random_erasing", "cutmix", "mixup", "mix"):
            OF_IMAGES[name](images)
