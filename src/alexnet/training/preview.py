"""Augmented training images, to check an augmentation by eye."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class AugmentationPreview:
    """Augmented training images, one row for each class."""

    data: str
    """The data set's name."""
    images: list[list[np.ndarray]]
    """Rows of uint8 [h, w, 3] or gray [h, w]: a stored image, then augmented samples of it."""
    class_names: list[str]
    """Of the rows."""
    captions: list[list[str]]
    """Of each image: the name of the stored one, what was done to the others."""


def augmentation_preview(
    recipe: Recipe, num_classes: int, num_samples: int, reporter: Reporter
) -> AugmentationPreview:
    """One row per class: a stored training image, then `num_samples` augmented samples of it.

    Args:
        recipe: its data, preprocessing and augmentation; its seed decides images and samples.
        num_classes: rows at most.
        num_samples: augmented samples of each image.
        reporter: receives notes and the progress of building the store.
    """
    device = choose_device(recipe.device)
    store, splits = prepare_data(recipe, reporter)
    arch = variant(architecture(recipe.arch), recipe.model)
    augmenter = build_augmenter(arch, recipe, store, splits, device)
    labels, rng = store.labels[splits.train], np.random.default_rng(recipe.seed)
    shown = range(min(num_classes, len(store.info.class_names)))
    chosen = [int(rng.choice(splits.train[labels == label])) for label in shown]
    images, captions = [], []
    for index in chosen:
        generator = torch.Generator(device).manual_seed(recipe.seed + index)
        pixels = torch.from_numpy(store.images([index] * num_samples)).to(device)
        samples, texts = _augment(augmenter, pixels, generator)
        images.append([store.image(index), *samples])
        captions.append([store.info.names[index], *texts])
    names = [store.info.class_names[label] for label in shown]
    return AugmentationPreview(store.info.name, images, names, captions)


def _augment(
    augmenter: Augmenter, pixels: Tensor, generator: torch.Generator
) -> tuple[list[np.ndarray], list[str]]:
    """Augmented images on the 0-255 scale, and what was done to each."""
    if not len(pixels):
        return [], []
    images, applied = augmenter.apply(pixels, generator)
    on_scale = denormalize(images.cpu(), augmenter.preprocessing, augmenter.mean_image)
    return to_uint8_images(on_scale), applied.texts()
