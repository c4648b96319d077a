"""The augmentation options of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alexnet.errors import (
    require,
    require_at_least,
    require_finite,
    require_not_negative,
    require_within,
)

MAX_OPERATIONS = 14
"""Maximum number of RandAugment's operations on one image: as many as there are kinds."""
MAX_MAGNITUDE = 10
MAX_ALPHA = 100
"""Maximum alpha of mixup; a Beta(alpha, alpha) weight is then nearly always 1/2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """Random changes of training images; validation and test images are never augmented."""

    crop: Literal["random", "center"] = "random"
    """random: at a random position; center: always in the center."""
    min_scale: float = 1.0
    """Minimum area of a random resized crop as a fraction of the image; 1: no resizing."""
    max_aspect_ratio: float = 1.0
    """Maximum aspect ratio of a random resized crop."""
    flip: bool = True
    """Flip half of the images horizontally."""
    vertical_flip: bool = False
    """Flip half of the images vertically."""
    rotation: float = 0.0
    """Maximum angle of a random rotation in degrees, to either side; 0: none."""
    rand_augment: tuple[int, int] | None = None
    """RandAugment: number of operations on each image, and their magnitude from 0 to 10, such as
    2 9; None: none."""
    color_std: float = 0.1
    """Standard deviation of the PCA color jitter (paper, section 4.1); 0: none."""
    noise_std: float = 0.0
    """Standard deviation of Gaussian noise on the 0-255 scale; 0: none."""
    contrast_std: float = 0.0
    """Standard deviation of the logarithm of a random contrast factor; 0: none."""
    random_erasing: float = 0.0
    """Probability that a rectangle of an image is erased."""
    cutmix: float = 0.0
    """Probability that CutMix is applied to a batch."""
    mixup: float = 0.0
    """Alpha of mixup, such as 0.2, for the batches without CutMix; 0: none."""
    last_color_epoch: int | None = None
    """Last epoch with color jitter; None: every epoch."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(
            0 < self.min_scale <= 1, f"--min-scale {self.min_scale} must be above 0 and at most 1"
        )
        require_at_least(self, 1, "max_aspect_ratio")
        require_within(self, 0, 180, "rotation")
        if self.rand_augment is not None:
            _check_rand_augment(*self.rand_augment)
        require_within(self, 0, 1, "random_erasing", "cutmix")
        require_within(self, 0, MAX_ALPHA, "mixup")
        require_not_negative(self, "color_std", "noise_std", "contrast_std", "last_color_epoch")

    @property
    def mixed_fraction(self) -> float:
        """Fraction of the batches with CutMix or mixup, which mix images and labels, 0 to 1."""
        return 1.0 if self.mixup else self.cutmix


def _check_rand_augment(num_operations: int, magnitude: int) -> None:
    require(
        1 <= num_operations <= MAX_OPERATIONS,
        f"--rand-augment {num_operations} {magnitude} must begin with 1 to {MAX_OPERATIONS} "
        "operations, such as 2 9",
    )
    require(
        0 <= magnitude <= MAX_MAGNITUDE,
        f"--rand-augment {num_operations} {magnitude} must have a magnitude from 0 to "
        f"{MAX_MAGNITUDE}, as in the paper; torchvision counts to 30, so take a third of its",
    )


DEFAULT_AUGMENTATION = Augmentation()
NO_AUGMENTATION = Augmentation(crop="center", flip=False, color_std=0.0)
