"""Augmented training images, to check an augmentation by eye."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import Recipe
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.splits import Splits
from alexnet.data.store.sample import sample_store
from alexnet.data.store.store import Store
from alexnet.io.text import count_text
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.reporter import Reporter
from alexnet.runtime.device import choose_device
from alexnet.training.build import build_augmenter
from alexnet.training.data import plan_data
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.crops import denormalize, to_uint8_images
from alexnet.transforms.mixing import mix


@dataclass(frozen=True)
class AugmentationPreview:
    """Augmented training images, one row for each class."""

    data: str
    """The data set's name."""
    images: list[list[np.ndarray]] = field(repr=False)
    """Rows of uint8 [h, w, 3] or gray [h, w]: a stored image, then augmented samples of it."""
    class_names: list[str]
    """Class of each row."""
    captions: list[list[str]]
    """Caption of each image: the name of the stored one, or what was done to an augmented one."""


def augmentation_preview(
    recipe: Recipe, num_classes: int, num_samples: int, reporter: Reporter
) -> AugmentationPreview:
    """One row per class: a stored training image, then `num_samples` augmented samples of it.

    CutMix and mixup mix the images of a column.

    Args:
        recipe: its data, preprocessing and augmentation; its seed decides images and samples.
        num_classes: rows at most.
        num_samples: augmented samples of each image.
        reporter: receives notes.
    """
    store, splits, chosen, rows = choose_images(recipe, num_classes, reporter)
    return augment_images(recipe, store, splits, chosen, rows, num_samples)


def augment_images(
    recipe: Recipe,
    store: Store,
    splits: Splits,
    chosen: list[int],
    rows: list[int],
    num_samples: int,
) -> AugmentationPreview:
    """As `augmentation_preview`, for the images of an open store.

    Args:
        recipe: its preprocessing and augmentation; its seed decides the samples.
        store: has the images.
        splits: of the store; statistics are of its training images.
        chosen: indices of the images in the data set, which seed their samples.
        rows: indices of the same images in the store, one of each class in their order.
        num_samples: augmented samples of each image.
    """
    device = choose_device(recipe.device)
    arch = variant(architecture(recipe.arch), recipe.model)
    augmenter = build_augmenter(arch, recipe, store, splits, device)
    names = list(store.info.class_names[: len(rows)])
    samples, captions = [], []
    for index, row in zip(chosen, rows, strict=True):
        generator = torch.Generator(device).manual_seed(recipe.seed + index)
        pixels = torch.from_numpy(store.images([row] * num_samples)).to(device)
        images, applied = augmenter.apply(pixels, generator)
        samples.append(images)
        captions.append([store.info.names[row], *applied.texts()])
    for column in range(num_samples):
        generator = torch.Generator(device).manual_seed(recipe.seed + column)
        _mix_column(samples, captions, column, names, recipe.augment, generator)
    shown = [
        [store.image(row), *_on_scale(augmenter, images)]
        for row, images in zip(rows, samples, strict=True)
    ]
    return AugmentationPreview(store.info.name, shown, names, captions)


def choose_images(
    recipe: Recipe, num_classes: int, reporter: Reporter
) -> tuple[Store, Splits, list[int], list[int]]:
    """A training image of each class, from the image store if it is there.

    Otherwise these images alone are decoded, and statistics are of them.

    Returns:
        A store and its splits, the indices of the images in the data set, and those in the store.
    """
    store, splits, is_prepared = plan_data(recipe, reporter)
    chosen, of_class = one_of_each_class(recipe, store, splits, num_classes)
    if is_prepared:
        return store, splits, chosen, chosen
    options = recipe.data_options
    source = open_source(recipe.data, recipe.data_root, label_from=options.label_from)
    candidates = [
        [first, *indices.tolist()] for first, indices in zip(chosen, of_class, strict=True)
    ]
    sample, chosen = sample_store(source, store, candidates)
    rows, none = np.arange(len(chosen)), np.arange(0)
    reporter.note(
        f"mean and colors are those of the {count_text(len(rows), 'image')} shown, since there is "
        "no image store yet; a training takes those of all training images"
    )
    return sample, Splits(rows, none, none), chosen, rows.tolist()


def one_of_each_class(
    recipe: Recipe, store: Store, splits: Splits, num_classes: int
) -> tuple[list[int], list[np.ndarray]]:
    """The index of one training image of each of the first classes, and of all images by class."""
    labels, rng = store.labels[splits.train], np.random.default_rng(recipe.seed)
    of_class = [
        splits.train[labels == label]
        for label in range(min(num_classes, len(store.info.class_names)))
    ]
    return [int(rng.choice(indices)) for indices in of_class], of_class


def _mix_column(
    samples: list[Tensor],
    captions: list[list[str]],
    column: int,
    names: list[str],
    options: Augmentation,
    generator: torch.Generator,
) -> None:
    """Mix the samples of a column as a batch, in place, and say so in their captions."""
    batch = torch.stack([images[column] for images in samples])
    labels = torch.arange(len(samples), device=batch.device)
    batch, targets, is_mixed = mix(batch, labels, len(samples), options, generator)
    if not is_mixed:
        return
    for row, (images, target) in enumerate(zip(samples, targets.tolist(), strict=True)):
        images[column] = batch[row]
        parts = [(part, name) for part, name in zip(target, names, strict=True) if part]
        if len(parts) > 1:  # else it is mixed with itself
            lines = [f"{100 * part:.0f} % {name}" for part, name in parts]
            captions[row][column + 1] += "\nmixed:\n" + "\n".join(lines)


def _on_scale(augmenter: Augmenter, images: Tensor) -> list[np.ndarray]:
    """Normalized images as uint8 arrays on the 0-255 scale."""
    restored = denormalize(images.cpu(), augmenter.preprocessing, augmenter.mean_image)
    return to_uint8_images(restored)
