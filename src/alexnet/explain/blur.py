"""Gaussian blur of images and maps."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_blur(images: Tensor, std: float) -> Tensor:
    """Every channel of images [B, C, H, W], blurred; `std` in pixels. Edges are replicated."""
    radius = min(max(1, math.ceil(3 * std)), min(images.shape[2:]) - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-((offsets / std) ** 2) / 2)
    weights = weights / weights.sum()
    channels = images.shape[1]
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    down = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(padded, down, groups=channels), across, groups=channels)
