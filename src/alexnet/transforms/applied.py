"""What an augmentation did to each image of a batch, in words."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class Applied:
    """The random choices of one call of an `Augmenter`, which fills it in."""

    boxes: Tensor | None = None
    """Of the crops in the padded image, as `random_crop_boxes` has them: [B, 4]."""
    crop_size: int = 0
    """Samples along a side of a crop."""
    padding: int = 0
    color_shifts: Tensor | None = None
    """[B, 3], 0-255 scale."""
    noise_std: float = 0.0
    contrast: Tensor | None = None
    """Factor of each image: [B, 1, 1, 1]."""

    def texts(self) -> list[str]:
        """What was done to each image: size and place of its crop, then a line for each change."""
        assert self.boxes is not None
        return ["\n".join(self._lines(i)) for i in range(len(self.boxes))]

    def _lines(self, i: int) -> list[str]:
        assert self.boxes is not None
        lines = [crop_text(self.boxes[i], self.crop_size, self.padding)]
        if self.color_shifts is not None and self.color_shifts.any():
            lines.append(
                "color " + " ".join(f"{round(v):+d}" for v in self.color_shifts[i].tolist())
            )
        if self.noise_std:
            lines.append(f"noise of std {self.noise_std:g}")
        if self.contrast is not None:
            lines.append(f"contrast x {self.contrast[i].item():.2f}")
        return lines


def crop_text(box: Tensor, crop_size: int, padding: int) -> str:
    """Width, height, left and top of a crop, in pixels of the stored image."""
    x, step_x, y, step_y = box.tolist()
    left = min(x, x + (crop_size - 1) * step_x) - (abs(step_x) - 1) / 2 - padding
    top = y - (step_y - 1) / 2 - padding
    size = f"{round(crop_size * abs(step_x))}x{round(crop_size * step_y)} px"
    return f"{size}\nat {round(left)}, {round(top)}{', flipped' if step_x < 0 else ''}"
