"""The published sizes of data sets, with which a run is planned before its images are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

import numpy as np
from PIL import Image

from alexnet.data.source import Source
from alexnet.errors import DataError

PUBLISHED: Mapping[str, tuple[int, dict[str, int]]] = MappingProxyType(
    {
        "imagenet": (1000, {"train": 1_281_167, "val": 50_000}),
        "tiny_imagenet": (200, {"train": 100_000, "val": 10_000}),
        "cifar10": (10, {"train": 50_000, "test": 10_000}),
        "mnist": (10, {"train": 60_000, "test": 10_000}),
        "fashion_mnist": (10, {"train": 60_000, "test": 10_000}),
        "flowers17": (17, {"": 1_360}),
    }
)
"""Classes, and images by split; "" where the data set has no splits of its own.

Sources: the publishers' descriptions of ILSVRC-2012, Tiny ImageNet (Stanford's CS231n), CIFAR-10,
MNIST, Fashion-MNIST and Oxford 17."""


class AbsentImages:
    """Images that are not here."""

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        """Raise DataError."""
        raise DataError(f"image {index} is not here")

    def signatures(self) -> Iterable[bytes]:
        """Nothing is known of them."""
        return ()


def published_source(name: str) -> Source:
    """A data set of the published size, with equally many images of each class and no pixels.

    Args:
        name: a key of PUBLISHED.
    """
    num_classes, counts = PUBLISHED[name]
    total = sum(counts.values())
    return Source(
        name=name,
        names=tuple(map(str, range(total))),
        labels=np.arange(total) % num_classes,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
        splits=tuple(split for split, count in counts.items() for _ in range(count)),
        images=AbsentImages(),
    )
