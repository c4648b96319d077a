"""A classifier with known probabilities, and a store of images that it knows by their pixels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from alexnet.data.store.store import Store, StoreInfo
from alexnet.inference.predictions import AnsweringNetwork

CLASSES = ("ash", "birch", "cedar", "date", "elm", "fir")
#   ash  birch cedar date  elm   fir      label, rank of the label
PROBABILITIES = np.array([
    [0.50, 0.10, 0.10, 0.10, 0.10, 0.10],  # ash, 0
    [0.30, 0.40, 0.10, 0.10, 0.05, 0.05],  # ash, 1: predicted as birch
    [0.20, 0.40, 0.10, 0.10, 0.10, 0.10],  # birch, 0
    [0.05, 0.60, 0.10, 0.10, 0.10, 0.05],  # birch, 0
    [0.30, 0.25, 0.20, 0.15, 0.06, 0.04],  # fir, 5: predicted as ash
    [0.30, 0.25, 0.20, 0.15, 0.06, 0.04],  # elm, 4: predicted as ash
    [0.24, 0.25, 0.19, 0.16, 0.10, 0.06],  # ash, 1: predicted as birch
    [0.00, 0.00, 1.00, 0.00, 0.00, 0.00],  # date, 3, after ash and birch of the same probability
], np.float32)  # fmt: skip
LABELS = np.array([0, 0, 1, 1, 5, 4, 0, 3])


def store(classes: tuple[str, ...] = CLASSES, labels: np.ndarray = LABELS) -> Store:
    """A store whose images have their index as pixels."""
    count = len(labels)
    info = StoreInfo(
        name="trees", fingerprint="", resize="stretch", side=1, test_fraction=0.2, rejected=(),
        skipped=(), class_names=classes, splits=("",) * count,
        names=tuple(f"{i}.jpg" for i in range(count)),
    )  # fmt: skip
    images = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(3, -1)
    return Store(Path(), info, images, labels, np.zeros((count, 9)))


class Oracle:
    """A classifier that gives the probabilities above."""

    class_names = CLASSES
    info = SimpleNamespace(temperature=1.0)
    answering_network = AnsweringNetwork(
        is_optimized=False, number_type="float32", depends_on_batch=False
    )
    crops: list[int]

    def __init__(self) -> None:
        self.crops = []

    def probabilities(self, pixels: np.ndarray, crops: int) -> np.ndarray:
        self.crops.append(crops)
        return PROBABILITIES[pixels[:, 0, 0, 0]]
