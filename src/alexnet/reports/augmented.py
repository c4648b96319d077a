"""The page's section of augmented training images, with captions of what was done to each."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError
from alexnet.io.text import error_text, printable
from alexnet.pages.thumbnails import jpeg_url
from alexnet.reports.stored_images import RunData
from alexnet.training.preview import augment_images, one_of_each_class

NUM_CLASSES, NUM_SAMPLES = 4, 5
SIDE = 128


@dataclass(frozen=True, kw_only=True)
class AugmentedRow:
    """A row of images of one class: a stored image, then augmented samples of it."""

    class_name: str
    images: list[tuple[str, list[str]]]
    """The data: URL of each image, and the lines of its caption."""


def augmented_rows(recipe: Recipe | None, data: RunData) -> tuple[list[AugmentedRow], str]:
    """The rows, and "" or the reason why there are none."""
    store, splits = data.store, data.splits
    if recipe is None or store is None or splits is None or not data.has_pixels:
        return [], data.problem
    try:
        chosen, _ = one_of_each_class(recipe, store, splits, NUM_CLASSES)
        preview = augment_images(recipe, store, splits, chosen, chosen, NUM_SAMPLES)
    except (AlexNetError, OSError, ValueError) as error:
        return [], error_text(error)
    rows = zip(preview.class_names, preview.images, preview.captions, strict=True)
    return [
        AugmentedRow(
            class_name=name,
            images=[
                (jpeg_url(image, SIDE), [printable(line) for line in caption.split("\n")])
                for image, caption in zip(images, captions, strict=True)
            ],
        )
        for name, images, captions in rows
    ], ""
