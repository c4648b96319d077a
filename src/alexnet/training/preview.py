"""Augmented training images, to check an augmentation by eye."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.reporter import Reporter
from alexnet.runtime.device import choose_device
from alexnet.training.data import prepare_data
from alexnet.training.setup import build_augmenter
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.crops import denormalize, to_uint8_images


def augmentation_preview(
    recipe: Recipe, num_classes: int, num_samples: int, reporter: Reporter
) -> tuple[list[list[np.ndarray]], list[str]]:
    """One row per class: a stored training image, then `num_samples` augmented samples of it.

    Args:
        recipe: its data, preprocessing and augmentation; its seed decides images and samples.
        num_classes: rows at most.
        num_samples: augmented samples of each image.
        reporter: receives notes and the progress of building the store.

    Returns:
        Rows of uint8 [h, w, 3] or gray [h, w], and the class names.
    """
    device = choose_device(recipe.device)
    store, splits = prepare_data(recipe, reporter)
    arch = variant(architecture(recipe.arch), recipe.model)
    augmenter = build_augmenter(arch, recipe, store, splits, device)
    labels, rng = store.labels[splits.train], np.random.default_rng(recipe.seed)
    shown = range(min(num_classes, len(store.info.class_names)))
    chosen = [int(rng.choice(splits.train[labels == label])) for label in shown]
    rows = []
    for index in chosen:
        generator = torch.Generator(device).manual_seed(recipe.seed + index)
        pixels = torch.from_numpy(store.images([index] * num_samples)).to(device)
        rows.append([store.image(index), *_augment(augmenter, pixels, generator)])
    return rows, [store.info.class_names[label] for label in shown]


def _augment(augmenter: Augmenter, pixels: Tensor, generator: torch.Generator) -> list[np.ndarray]:
    """Augmented images on the 0-255 scale."""
    if not len(pixels):
        return []
    images = augmenter(pixels, generator).cpu()
    return to_uint8_images(denormalize(images, augmenter.preprocessing, augmenter.mean_image))
