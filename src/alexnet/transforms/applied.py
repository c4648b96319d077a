"""What an augmentation did to each image of a batch, in words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from alexnet.errors import UsageError
from alexnet.transforms.affine import crop_matrices, rotation_matrices
from alexnet.transforms.randaugment import ChosenOperations, geometric_matrices


@dataclass(kw_only=True, slots=True)
class Applied:
    """The random choices of an `Augmenter` for a batch."""

    size: int
    """Side of the stored images, with their padding."""
    boxes: Tensor
    """Boxes of the crops in the padded image, as `random_crop_boxes` has them: [B, 4]."""
    crop_size: int
    """Samples along a side of a crop."""
    color_shifts: Tensor
    """[B, 3], 0-255 scale."""
    padding: int = 0
    has_color: bool = True
    """Whether there are color shifts; otherwise they are 0."""
    angles: Tensor | None = None
    """Degrees of the rotation, counterclockwise: [B]."""
    operations: ChosenOperations | None = None
    """Operations of RandAugment."""
    noise_std: float = 0.0
    noise: Tensor | None = None
    """Added to the crops: [B, C, side, side], 0-255 scale."""
    contrast: Tensor | None = None
    """Factor of each image: [B, 1, 1, 1]."""
    erased: Tensor | None = None
    """Rectangles of random erasing in the crop: top, left, height, width, [B, 4]."""

    def check_fits(self, pixels: Tensor) -> None:
        """Check that the choices are for as many images, padded uint8 [B, S, S, 3], of that size.

        Raises:
            UsageError: they are for others.
        """
        if (len(self.boxes), self.size) != (len(pixels), pixels.shape[1]):
            raise UsageError(
                f"the choices are for {len(self.boxes)} images of {self.size} pixels with their "
                f"padding, not for {len(pixels)} of {pixels.shape[1]}"
            )

    def of(self, indices: Tensor) -> Applied:
        """The choices for some images of the batch, by their indices in it."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return Applied(**{name: _rows(value, indices) for name, value in chosen.items()})

    @property
    def is_affine(self) -> bool:
        """Whether the crops are more than rectangles: rotated, or distorted by RandAugment."""
        return self.angles is not None or self.operations is not None

    def matrices(self) -> Tensor:
        """Matrices [B, 3, 3] from a pixel of a crop to that of the stored image, all in one."""
        matrices = crop_matrices(self.boxes)
        if self.angles is not None:
            matrices = matrices @ rotation_matrices(self.angles, self.crop_size)
        if self.operations:
            matrices = matrices @ geometric_matrices(self.operations, self.crop_size)
        return matrices

    def texts(self) -> list[str]:
        """What was done to each image: size and place of its crop, then a line for each change."""
        return ["\n".join(self._lines(i)) for i in range(len(self.boxes))]

    def _lines(self, i: int) -> list[str]:
        lines = [crop_text(self.boxes[i], self.crop_size, self.padding)]
        if self.angles is not None:
            lines.append(f"rotated {round(self.angles[i].item()):+d}°")
        if self.operations is not None:
            lines += self.operations.texts(i)
        if self.has_color:
            lines.append(
                "color " + " ".join(f"{round(v):+d}" for v in self.color_shifts[i].tolist())
            )
        if self.noise_std:
            lines.append(f"noise of std {self.noise_std:g}")
        if self.contrast is not None:
            lines.append(f"contrast x {self.contrast[i].item():.2f}")
        if self.erased is not None:
            lines += _erasing_lines(self.erased[i])
        return lines


def _rows(value: Any, indices: Tensor) -> Any:
    """The rows of a tensor or of chosen operations; anything else is for the whole batch."""
    if isinstance(value, ChosenOperations):
        return ChosenOperations(indices=value.indices[indices], strengths=value.strengths[indices])
    return value[indices] if isinstance(value, Tensor) else value


def crop_text(box: Tensor, crop_size: int, padding: int) -> str:
    """Width, height, left and top of a crop, in pixels of the stored image."""
    x, step_x, y, step_y = box.tolist()
    left = min(x, x + (crop_size - 1) * step_x) - (abs(step_x) - 1) / 2 - padding
    top = min(y, y + (crop_size - 1) * step_y) - (abs(step_y) - 1) / 2 - padding
    size = f"{round(crop_size * abs(step_x))}x{round(crop_size * abs(step_y))} px"
    flips = ", flipped" * (step_x < 0) + "\nupside down" * (step_y < 0)
    return f"{size}\nat {round(left)}, {round(top)}{flips}"


def _erasing_lines(box: Tensor) -> list[str]:
    top, left, height, width = box.tolist()
    return [f"erased {width}x{height}", f"at {left}, {top}"] if height else []
