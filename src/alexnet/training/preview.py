"""Pictures as training sees them, for people to look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from alexnet.config.presets import preset
from alexnet.reporter import Reporter
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.transforms.crops import denormalize, to_uint8_images


def augmentation_preview(
    name: str,
    data: str,
    data_root: str,
    num_classes: int,
    num_views: int,
    seed: int,
    reporter: Reporter,
) -> tuple[list[list[np.ndarray]], list[str]]:
    """One row per class: a training picture as stored, then `num_views` augmented views of it.

    Args:
        name: the preset whose preprocessing and augmentation are used.
        data: what people type for a data set.
        data_root: folder searched for data sets first.
        num_classes: rows at most.
        num_views: augmented views of each picture.
        seed: decides the pictures and the views.
        reporter: told how far preparing is.

    Returns:
        Rows of uint8 [h, w, 3] or grey [h, w], and the class names.
    """
    recipe = replace(preset(name), data=data, data_root=data_root, seed=seed, freeze_up_to="")
    job = set_up_training(recipe, reporter)
    labels, rng = job.store.labels[job.splits.train], np.random.default_rng(seed)
    shown = range(min(num_classes, len(job.info.class_names)))
    picks = [int(rng.choice(job.splits.train[labels == label])) for label in shown]
    rows = [[job.store.image(row), *_views(job, row, num_views, seed)] for row in picks]
    return rows, [job.info.class_names[label] for label in shown]


def _views(job: TrainingSetup, row: int, count: int, seed: int) -> list[np.ndarray]:
    """Augmented views of one picture, brought back to the 0-255 scale."""
    if not count:
        return []
    generator = torch.Generator(job.device).manual_seed(seed + row)
    pixels = torch.from_numpy(job.store.images([row] * count)).to(job.device)
    images = job.augmenter(pixels, generator).cpu()
    return to_uint8_images(denormalize(images, job.info.preprocessing, job.augmenter.mean_image))
