"""RandAugment: the same number of random operations on every image, all of one magnitude.

Source: Cubuk et al. 2019, RandAugment, with all its 14 operations. Their ranges are torchvision's,
which grow with the magnitude, on the paper's scale from 0 to 10 (torchvision's goes to 30). The
threshold of `solarize` is 256 at magnitude 0, as in AutoAugment, so that nothing is inverted.
Departure: the geometric operations on an image come before the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.config.augmentation import MAX_MAGNITUDE
from alexnet.transforms import color_operations
from alexnet.transforms.affine import (
    crop_affine,
    rotation_matrices,
    shear_matrices,
    translation_matrices,
)
from alexnet.transforms.checks import NUM_CHANNELS, check_images

MAX_SHEAR = 0.3
MAX_TRANSLATION = 150 / 331
"""Largest translation, as a fraction of the image's side."""
MAX_DEGREES = 30.0
GEOMETRIC = ("shear x", "shear y", "translate x", "translate y", "rotate")
COLOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": color_operations.brightness,
    "color": color_operations.color,
    "contrast": color_operations.contrast,
    "sharpness": color_operations.sharpness,
    "posterize": color_operations.posterize,
    "solarize": color_operations.solarize,
    "autocontrast": color_operations.autocontrast,
    "equalize": color_operations.equalize,
}
OPERATIONS = ("identity", *GEOMETRIC, *COLOR)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenOperations:
    """What RandAugment does to each image of a batch."""

    indices: Tensor
    """Indices into OPERATIONS, in the order chosen: int64 [B, operations per image]."""
    strengths: Tensor
    """The magnitude with a random sign, which some ignore: -1 to 1, of the shape of `indices`."""

    def texts(self, i: int) -> list[str]:
        """The operations on an image, with their strength in percent."""
        pairs = zip(self.indices[i].tolist(), self.strengths[i].tolist(), strict=True)
        return [operation_text(OPERATIONS[index], strength) for index, strength in pairs]


def rand_augment(
    images: Tensor,
    num_operations: int,
    magnitude: int,
    fill: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Images after random operations, different ones for each.

    Args:
        images: float [B, C, S, S] on the 0-255 scale, gray, RGB, or RGB and a fourth channel, which
            is changed as the others; not changed.
        num_operations: number of operations on each image.
        magnitude: magnitude of all operations, 0 to 10.
        fill: colour [C] of what comes into an image from outside it.
        generator: source of all random numbers.

    Raises:
        UsageError: the images are not float [B, 1 or 3 or 4, S, S].
    """
    check_images(images, NUM_CHANNELS, square=True)
    chosen = choose_operations(len(images), num_operations, magnitude, generator)
    size = images.shape[-1]
    changed = crop_affine(images, geometric_matrices(chosen, size), size, fill)
    apply_color_operations(changed, chosen)
    return changed


def choose_operations(
    count: int, num_operations: int, magnitude: int, generator: torch.Generator
) -> ChosenOperations:
    """Random operations for `count` images, each as likely as any other; one may come twice."""
    shape, device = (count, num_operations), generator.device
    indices = torch.randint(len(OPERATIONS), shape, generator=generator, device=device)
    signs = 2.0 * torch.randint(2, shape, generator=generator, device=device) - 1
    return ChosenOperations(indices=indices, strengths=signs * (magnitude / MAX_MAGNITUDE))


def geometric_matrices(chosen: ChosenOperations, size: int) -> Tensor:
    """The geometric operations on each image of `size` pixels, as one matrix: [B, 3, 3]."""
    count, device = len(chosen.indices), chosen.indices.device
    matrices = torch.eye(3, device=device).expand(count, 3, 3)
    for index, strength in zip(chosen.indices.T, chosen.strengths.T, strict=True):
        shear_x, shear_y, move_x, move_y, angle = (
            torch.where(index == OPERATIONS.index(name), strength, 0.0) for name in GEOMETRIC
        )
        # At most one of the five is not 0, so that the order of the three does not matter.
        matrices = matrices @ shear_matrices(MAX_SHEAR * shear_x, MAX_SHEAR * shear_y)
        pixels = MAX_TRANSLATION * size
        matrices = matrices @ translation_matrices(pixels * move_x, pixels * move_y)
        matrices = matrices @ rotation_matrices(MAX_DEGREES * angle, size)
    return matrices


def apply_color_operations(images: Tensor, chosen: ChosenOperations) -> None:
    """Apply the operations on colours in place, in the order chosen for each image.

    Args:
        images: float [B, C, h, w] on the 0-255 scale.
        chosen: the operations that are chosen for these images.
    """
    indices = chosen.indices.cpu()  # one wait for the device, instead of one for each operation
    for place in range(indices.shape[1]):
        for name, operation in COLOR.items():
            rows = (indices[:, place] == OPERATIONS.index(name)).nonzero()[:, 0]
            if len(rows):
                rows = rows.to(images.device)
                strength = chosen.strengths[rows, place, None, None, None]
                images[rows] = operation(images[rows], strength)


def operation_text(name: str, strength: float) -> str:
    """An operation in words, with its strength in the operation's own unit."""
    factor, size = f"{1 + color_operations.MAX_CHANGE * strength:.2f}", abs(strength)
    values = {
        "shear x": f"{MAX_SHEAR * strength:+.2f}",
        "shear y": f"{MAX_SHEAR * strength:+.2f}",
        "translate x": f"{100 * MAX_TRANSLATION * strength:+.0f} %",
        "translate y": f"{100 * MAX_TRANSLATION * strength:+.0f} %",
        "rotate": f"{round(MAX_DEGREES * strength):+d}°",
        **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), factor),
        "posterize": f"{8 - round(4 * size)} bits",
        "solarize": f"from {256 * (1 - size):.0f}",
    }
    return f"{name} {values.get(name, '')}".strip()
