"""What an augmentation says that it did."""

from __future__ import annotations

import pytest
import torch

from alexnet.config.augmentation import Augmentation
from alexnet.transforms.applied import Applied, crop_text
from alexnet.transforms.randaugment import ChosenOperations
from support.augmenters import augmenter


@pytest.mark.parametrize(
    ("box", "padding", "text"),
    [
        ((3, 1, 7, 1), 0, "10x10 px\nat 3, 7"),
        ((12, -1, 7, 1), 0, "10x10 px\nat 3, 7, flipped"),
        ((3, 1, 0, 1), 4, "10x10 px\nat -1, -4"),
        ((4.5, 2, 2.0, 1.5), 0, "20x15 px\nat 4, 2"),
        ((3, 1, 16, -1), 0, "10x10 px\nat 3, 7\nupside down"),
        ((12, -1, 16, -1), 0, "10x10 px\nat 3, 7, flipped\nupside down"),
    ],
)
def test_a_crop_by_hand(box: tuple[float, ...], padding: int, text: str) -> None:
    assert crop_text(torch.tensor(box, dtype=torch.float32), 10, padding) == text


def test_a_line_for_each_change() -> None:
    applied = Applied(
        size=20,
        boxes=torch.tensor([[0.0, 1, 0, 1], [9, -1, 0, 1]]),
        crop_size=10,
        color_shifts=torch.tensor([[4.2, -3.6, 0.1], [0, 1, 2]]),
        angles=torch.tensor([12.4, -3.0]),
        operations=ChosenOperations(
            indices=torch.tensor([[0, 5], [11, 13]]), strengths=torch.tensor([[0.5, 1], [0.5, 1]])
        ),
        noise_std=2.5,
        contrast=torch.tensor([1.1, 0.9]).reshape(2, 1, 1, 1),
        erased=torch.tensor([[0, 0, 0, 0], [5, 6, 3, 2]]),
    )
    assert applied.texts() == [
        "10x10 px\nat 0, 0\nrotated +12°\nidentity\nrotate +30°\n"
        "color +4 -4 +0\nnoise of std 2.5\ncontrast x 1.10",
        "10x10 px\nat 0, 0, flipped\nrotated -3°\nsolarize from 128\nequalize\n"
        "color +0 +1 +2\nnoise of std 2.5\ncontrast x 0.90\n"
        "erased 2x3\nat 6, 5",
    ]


def test_the_choices_for_some_images_are_theirs() -> None:
    options = Augmentation(
        rotation=10, rand_augment=(2, 5), contrast_std=0.1, random_erasing=0.5, noise_std=1
    )
    augment = augmenter(options)
    pixels = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    applied = augment.choose(5, 32, torch.Generator().manual_seed(1))
    some = torch.tensor([3, 1])
    images = augment.run(pixels, applied)
    torch.testing.assert_close(augment.run(pixels[some], applied.of(some)), images[some])
