"""Augmentations that mix the pictures of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cutmix(
    views: Tensor, labels: Tensor, classes: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, bool]:
    """In a `share` of the steps, put a patch of another picture into every view.

    One patch of random area and place for the whole batch; the other picture is drawn per view.

    Args:
        views: [B, C, h, w]; stays as it is.
        labels: int64 [B].
        classes: how many there are.
        share: probability, 0 to 1, that this step is mixed.
        generator: decides everything.

    Returns:
        The views; targets float [B, classes], the shares of the area that belong to each class;
        and whether anything was mixed.

    Source: Yun et al. 2019, CutMix, with the area uniform from 0 to 1.
    """
    targets = F.one_hot(labels, classes).float()
    chance, area, top, left = torch.rand(4, generator=generator, device=views.device).tolist()
    if chance >= share:
        return views, targets, False
    sides = [round(side * area**0.5) for side in views.shape[2:]]
    y, x = (
        int(place * (side - patch + 1))
        for place, side, patch in zip((top, left), views.shape[2:], sides, strict=True)
    )
    others = torch.randperm(len(views), generator=generator, device=views.device)
    mixed, rows, columns = views.clone(), slice(y, y + sides[0]), slice(x, x + sides[1])
    mixed[:, :, rows, columns] = views[others, :, rows, columns]
    taken = sides[0] * sides[1] / (views.shape[2] * views.shape[3])
    return mixed, (1 - taken) * targets + taken * targets[others], True
