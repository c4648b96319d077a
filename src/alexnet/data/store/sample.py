"""A few images of a source, decoded into memory, where the whole store is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alexnet.data.images.decode import color_moments, decode
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.source import Source
from alexnet.data.store.store import Store
from alexnet.errors import DataError


def sample_store(
    source: Source, planned: Store, candidates: Sequence[Sequence[int]]
) -> tuple[Store, list[int]]:
    """A store in memory with one image of each sequence: the first that can be used.

    Args:
        source: what is decoded.
        planned: its store as it would be, see `planned_store`.
        candidates: indices into the source.

    Returns:
        The store, and the indices of its images in the source.

    Raises:
        DataError: no image of a sequence can be used.
    """
    decoded = [_first_usable(source, planned, indices) for indices in candidates]
    chosen = [index for index, _ in decoded]
    images = np.stack([pixels for _, pixels in decoded])
    info = replace(
        planned.info,
        names=tuple(source.names[index] for index in chosen),
        splits=tuple(source.splits[index] for index in chosen),
        rejected=(),
    )
    moments = np.stack([color_moments(image) for image in images])
    return Store(planned.folder, info, images, source.labels[chosen], moments), chosen


def _first_usable(source: Source, planned: Store, indices: Sequence[int]) -> tuple[int, np.ndarray]:
    """Index and pixels of the first image that can be decoded."""
    reason = "there are none"
    for index in indices:
        try:
            with source.images.open(index, planned.info.side) as image:
                return index, decode(image, planned.info.resize, planned.info.side)
        except IMAGE_ERRORS as error:
            reason = rejection_reason(error, source.names[index])
    raise DataError(f"{source.name}: no image of a class can be used; the last one: {reason}")
