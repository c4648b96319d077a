"""The augmentation options of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alexnet.errors import require, require_finite, require_not_negative


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
    color_std: float = 0.1
    """Standard deviation of the PCA color jitter (paper, section 4.1); 0: none."""
    noise_std: float = 0.0
    """Standard deviation of Gaussian noise on the 0-255 scale; 0: none."""
    contrast_std: float = 0.0
    """Standard deviation of the logarithm of a random contrast factor; 0: none."""
    cutmix: float = 0.0
    """Probability that CutMix is applied to a batch."""
    last_color_epoch: int | None = None
    """Last epoch with color jitter; None: every epoch."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(
            0 < self.min_scale <= 1, f"--min-scale {self.min_scale} must be above 0 and at most 1"
        )
        require(
            self.max_aspect_ratio >= 1,
            f"--max-aspect-ratio {self.max_aspect_ratio} must be at least 1",
        )
        require(0 <= self.cutmix <= 1, f"--cutmix {self.cutmix} must be from 0 to 1")
        require_not_negative(self, "color_std", "noise_std", "contrast_std", "last_color_epoch")


DEFAULT_AUGMENTATION = Augmentation()
NO_AUGMENTATION = Augmentation(crop="center", flip=False, color_std=0.0)
