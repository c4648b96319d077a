"""RandAugment: which operations an image gets, in which order, and how strong they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alexnet.config.augmentation import Augmentation
from alexnet.errors import ConfigError
from alexnet.transforms.affine import crop_affine, rotation_matrices, shear_matrices
from alexnet.transforms.randaugment import (
    COLOR,
    OPERATIONS,
    ChosenOperations,
    apply_color_operations,
    choose_operations,
    geometric_matrices,
    operation_text,
    rand_augment,
)
from support.augmenters import BARE, augmenter, seeded, stored
from support.kernels import needs_kernels


def chosen(*names: str, strength: float = 0.9) -> ChosenOperations:
    """The same operations for one image."""
    indices = torch.tensor([[OPERATIONS.index(name) for name in names]])
    return ChosenOperations(indices=indices, strengths=torch.full(indices.shape, strength))


def test_the_operations_are_those_of_the_paper() -> None:
    assert len(OPERATIONS) == 14
    colors = "autocontrast equalize solarize color posterize contrast brightness sharpness"
    assert set(COLOR) == set(colors.split())
    geometric = "shear x, shear y, translate x, translate y, rotate"
    assert set(OPERATIONS) - set(COLOR) == {"identity", *geometric.split(", ")}


def test_each_is_as_likely_as_any_other() -> None:
    drawn = choose_operations(7000, 2, 9, seeded())
    assert drawn.indices.shape == (7000, 2)
    counts = torch.bincount(drawn.indices.flatten(), minlength=14)
    assert int((counts - 1000).abs().max()) < 160  # 5 standard deviations
    is_repeated = (drawn.indices[:, 0] == drawn.indices[:, 1]).float().mean()
    assert float(is_repeated) == pytest.approx(1 / 14, abs=0.016)
    assert drawn.strengths.abs().unique().tolist() == pytest.approx([0.9])
    assert float((drawn.strengths > 0).float().mean()) == pytest.approx(0.5, abs=0.021)


def test_geometric_operations_are_multiplied_in_their_order() -> None:
    matrix = geometric_matrices(chosen("shear x", "brightness", "rotate", strength=-0.5), 20)
    shear = shear_matrices(torch.tensor([-0.15]), torch.zeros(1))
    assert torch.allclose(matrix, shear @ rotation_matrices(torch.tensor([-15.0]), 20), atol=1e-5)


def test_the_largest_translation_is_150_of_331_pixels() -> None:
    images = torch.arange(331.0).expand(1, 1, 331, 331)
    matrix = geometric_matrices(chosen("translate x", strength=1.0), 331)
    moved = crop_affine(images, matrix, 331, torch.full((1,), -1.0))
    assert torch.allclose(moved[..., 150:], images[..., :-150], atol=1e-2)
    assert moved[..., :150].unique().tolist() == [-1]


def test_color_operations_come_in_the_order_of_each_image() -> None:
    image = stored(1).permute(0, 3, 1, 2).float()
    strength = torch.full((1, 1, 1, 1), 0.9)
    for first, second in (("solarize", "posterize"), ("posterize", "solarize")):
        changed = image.clone()
        apply_color_operations(changed, chosen(first, "identity", second))
        assert torch.equal(changed, COLOR[second](COLOR[first](image, strength), strength))


def test_each_image_has_its_own() -> None:
    """What is drawn for a batch, done to one image after another."""
    images = stored(40).permute(0, 3, 1, 2).float()
    fill = torch.tensor([1.0, 2, 3])
    drawn = choose_operations(40, 2, 7, seeded(5))
    expected = crop_affine(images, geometric_matrices(drawn, 12), 12, fill)
    for image, indices, strengths in zip(expected, drawn.indices, drawn.strengths, strict=True):
        for index, strength in zip(indices.tolist(), strengths, strict=True):
            if operation := COLOR.get(OPERATIONS[index]):
                image[:] = operation(image[None], strength.reshape(1, 1, 1, 1))[0]
    assert torch.equal(rand_augment(images, 2, 7, fill, seeded(5)), expected)
    is_same = (expected - images).abs().amax((1, 2, 3)) < 1e-3
    assert is_same.tolist() == [{*drawn.texts(i)} == {"identity"} for i in range(40)]


def test_at_magnitude_0_only_the_histogram_changes() -> None:
    images = stored(60).permute(0, 3, 1, 2).float()
    changed = rand_augment(images, 2, 0, torch.zeros(3), seeded())
    drawn = choose_operations(60, 2, 0, seeded())
    for i in range(60):
        if not {"autocontrast", "equalize"} & {*drawn.texts(i)}:
            assert torch.allclose(changed[i], images[i], atol=1e-2)


@needs_kernels
def test_with_the_crops_of_the_kernel() -> None:
    """Few values lie so near a threshold that rounding decides."""
    options = Augmentation(min_scale=0.4, rotation=10, rand_augment=(2, 9))
    augment = augmenter(options, mean=(120, 110, 100), std=(60, 61, 62))
    fused = augment(stored(40), seeded(3))
    plain = replace(augment, use_kernel=False)(stored(40), seeded(3))
    assert fused.is_contiguous(memory_format=torch.channels_last)
    assert plain.is_contiguous(memory_format=torch.channels_last)
    assert float(((fused - plain).abs() > 1e-3).float().mean()) < 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_a_function_of_the_generator(channels: int) -> None:
    augment = augmenter(replace(BARE, rand_augment=(2, 9)), channels=channels)
    first = augment(stored(), seeded(1))
    assert first.shape == (4, channels, 7, 7)
    assert torch.equal(first, augment(stored(), seeded(1)))
    assert not torch.equal(first, augment(stored(), seeded(2)))


@pytest.mark.parametrize(
    ("name", "strength", "text"),
    [
        ("identity", 0.9, "identity"),
        ("shear x", -0.5, "shear x -0.15"),
        ("translate y", 0.9, "translate y +41 %"),
        ("rotate", 0.9, "rotate +27°"),
        ("color", -0.9, "color 0.19"),
        ("posterize", -0.9, "posterize 4 bits"),
        ("solarize", 0.5, "solarize from 128"),
        ("equalize", 0.9, "equalize"),
    ],
)
def test_an_operation_in_words(name: str, strength: float, text: str) -> None:
    assert operation_text(name, strength) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [((0, 9), "1 to 14 operations"), ((2, 15), "magnitude from 0 to 10"), ((2, -1), "0 to 10")],
)
def test_numbers_out_of_range_are_rejected(value: tuple[int, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"--rand-augment {value[0]} {value[1]} .*{message}"):
        Augmentation(rand_augment=value)
