"""The published sizes of data sets, with which a run is planned before its images are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from alexnet.data.source import Source
from alexnet.errors import DataError

FLOWERS17_TEST_FRACTION = 0.25
"""20 of the 80 images of a class, as many as in each of the published splits."""


class PublishedSize(NamedTuple):
    """What is known of a data set without its files."""

    num_classes: int
    images: Mapping[str, int]
    """Numbers of images by split; "" where the data set has no splits of its own."""
    test_fraction: float = 0.2
    """As `Source.test_fraction`."""


PUBLISHED: Mapping[str, PublishedSize] = MappingProxyType(
    {
        "imagenet": PublishedSize(1000, {"train": 1_281_167, "val": 50_000}),
        "tiny_imagenet": PublishedSize(200, {"train": 100_000, "val": 10_000}),
        "cifar10": PublishedSize(10, {"train": 50_000, "test": 10_000}),
        "mnist": PublishedSize(10, {"train": 60_000, "test": 10_000}),
        "fashion_mnist": PublishedSize(10, {"train": 60_000, "test": 10_000}),
        "flowers17": PublishedSize(17, {"": 1_360}, FLOWERS17_TEST_FRACTION),
    }
)
"""Sources: the publishers' descriptions of ILSVRC-2012, Tiny ImageNet (Stanford's CS231n),
CIFAR-10, MNIST, Fashion-MNIST and Oxford 17."""


class AbsentImages:
    """The images of a data set whose files are not here."""

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        """Raise DataError."""
        raise DataError(f"image {index} is not here")

    def signatures(self) -> Iterable[bytes]:
        """No signatures, as nothing is known of the images."""
        return ()

    def content(self, index: int) -> bytes:
        """The index in place of the image's bytes: a split by hash gets about its usual size."""
        return b"%d" % index


def published_source(name: str) -> Source:
    """A data set of the published size, with equally many images of each class and no pixels.

    Args:
        name: a key of PUBLISHED.
    """
    num_classes, counts, test_fraction = PUBLISHED[name]
    total = sum(counts.values())
    return Source(
        name=name,
        names=tuple(map(str, range(total))),
        labels=np.arange(total) % num_classes,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
        splits=tuple(split for split, count in counts.items() for _ in range(count)),
        images=AbsentImages(),
        test_fraction=test_fraction,
    )
