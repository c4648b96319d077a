"""Training images shown by the server, as thumbnails: nearest ones, and some of every class.

They are private data: a server shows them only where its owner says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.errors import UsageError
from alexnet.features.neighbors import NearestImages, Neighbor, nearest_images
from alexnet.inference.classifier import Classifier
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_FIGURE_BYTES
from alexnet.pages.thumbnails import jpeg
from alexnet.reporter import Reporter

SIDE = 160
"""Longest side of a shown image in pixels."""
SHEET = "explain/filters-{layer}.png"
"""The figure in a run folder that `alexnet explain RUN --filters LAYER` writes."""
NOT_ASKED_FOR = "the server does not show them; alexnet serve --training-images does"


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The training split of a model's data, with the model's features of it."""

    nearest: NearestImages

    def neighbors(self, pixels: np.ndarray, top: int) -> tuple[Neighbor, ...]:
        """The nearest training images to a resized image uint8 [S, S, 3], nearest first."""
        (found,) = self.nearest.find(pixels, top)
        return found.neighbors

    def of_every_class(self, count: int) -> Iterator[tuple[str, int, list[int]]]:
        """The name, the number of images and the first `count` indices of every class."""
        searched = self.nearest.searched
        labels = searched.store.labels[searched.rows]
        for label, name in enumerate(searched.store.info.class_names):
            rows = searched.rows[labels == label]
            yield name, len(rows), rows[:count].tolist()

    def thumbnail(self, index: int) -> bytes | None:
        """A small JPEG of a training image; None if the split has no image with this index."""
        searched = self.nearest.searched
        place = int(np.searchsorted(searched.rows, index))
        if place == len(searched.rows) or searched.rows[place] != index:
            return None
        return jpeg(searched.store.image(index), SIDE)


def open_training_images(
    classifier: Classifier, reporter: Reporter | None = None
) -> TrainingImages:
    """The training images of a model with their features, which are computed if they are missing.

    Raises:
        UsageError: the model names no data set.
        DataError: the data is not here.
    """
    if not classifier.info.recipe.data:
        raise UsageError("the model names no data set")
    return TrainingImages(nearest_images(classifier, split="train", reporter=reporter))


def patches_sheet(run_folder: Path | None, layer: str) -> bytes | None:
    """The PNG figure of the patches with a layer's highest outputs; None if the run has none.

    Args:
        run_folder: of the model's run, if that is here.
        layer: the name of one of its layers.
    """
    path = run_folder / SHEET.format(layer=layer) if run_folder else None
    try:
        return read_regular(path, MAX_FIGURE_BYTES) if path else None
    except OSError:
        return None
