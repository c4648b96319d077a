"""Images that are nearly the same: copies that were resized, compressed again or mirrored.

Every image is a thumbnail whose brightness and contrast are taken out. Two of them are nearly the
same if their root mean square difference is below MAX_DIFFERENCE standard deviations of the image.
So that not all pairs have to be compared, the thumbnails are hashed many times (locality-sensitive
hashing, Datar et al. 2004: rounded projections with random offsets, here on principal axes); only
those that share a hash are compared. Of a pair whose difference is as large as is accepted, about
one in fifty is missed, of closer ones far fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

SIDE = 16
"""Of a thumbnail, in pixels."""
MAX_DIFFERENCE = 0.15
"""Of Oxford's 17 flowers copies differ by at most 0.14 and other images by at least 0.27; in
CIFAR-10 no two images are below 0.2."""
MAX_GRAY_DIFFERENCE = 0.05
"""The same of gray images: in MNIST 1,075 digits are below 0.15, and 7 below 0.1, by chance."""
MIN_STD = 4.0
"""Of the values of a thumbnail, 0 to 255; one with less has nothing to be recognized by."""
COARSE_SIDE = 8
"""Of the parts of a thumbnail whose means are hashed."""
NUM_AXES, WIDTH, NUM_TABLES = 8, 0.3, 16
"""Projections per hash, the width of their steps, and the number of hashes."""
MAX_COMPARED = 2048
"""Images that are compared with each other at once."""
ODD = np.uint64(0x9E3779B97F4A7C15)
"""Its powers are the factors of a hash."""


class NearDuplicate(NamedTuple):
    """An image that is nearly an earlier one."""

    copy: int
    first: int
    """The earliest image that it nearly is."""
    is_mirrored: bool


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """The means of the parts of an image uint8 [S, S, 3] as uint8 [SIDE, SIDE, 3]."""
    return np.asarray(np.rint(_means(pixels[None], SIDE)[0]).astype(np.uint8))


def near_duplicates(thumbnails: np.ndarray) -> list[NearDuplicate]:
    """The images that are nearly an earlier one, in order.

    Args:
        thumbnails: uint8 [N, SIDE, SIDE, 3].
    """
    rows = np.flatnonzero(thumbnails.std((1, 2, 3)) >= MIN_STD)
    if len(rows) < 2:
        return []
    coarse = np.concatenate([_coarse(thumbnails[rows]), _coarse(thumbnails[rows, :, ::-1])])
    pairs = _close_pairs(coarse)
    found: dict[int, NearDuplicate] = {}
    for start in range(0, len(pairs), MAX_COMPARED):
        one, other = pairs[start : start + MAX_COMPARED].T
        firsts, indices, is_mirrored = rows[one], rows[other % len(rows)], other >= len(rows)
        is_near = _are_near(thumbnails[firsts], thumbnails[indices], is_mirrored)
        for first, index, mirrored in zip(
            *(part[is_near].tolist() for part in (firsts, indices, is_mirrored)), strict=True
        ):
            found.setdefault(index, NearDuplicate(index, first, mirrored))
    return [found[index] for index in sorted(found)]


def joined(pairs: Sequence[NearDuplicate]) -> list[list[NearDuplicate]]:
    """The same copies in groups, in which each is near to the first image or to another copy."""
    root_of: dict[int, int] = {}
    groups: dict[int, list[NearDuplicate]] = {}
    for one in pairs:
        root = root_of.setdefault(one.copy, root_of.get(one.first, one.first))
        groups.setdefault(root, []).append(one)
    return list(groups.values())


def _are_near(ones: np.ndarray, others: np.ndarray, is_mirrored: np.ndarray) -> np.ndarray:
    """Whether the differences of pairs of thumbnails are small beside their contrast: bool [P]."""
    a, b = ones.astype(np.float32), others.astype(np.float32)
    b[is_mirrored] = b[is_mirrored, :, ::-1]
    difference = np.sqrt(np.square(a - b).mean((1, 2, 3)))
    contrast = np.minimum(a.std((1, 2, 3)), b.std((1, 2, 3)))
    is_gray = (ones == ones[..., :1]).all((1, 2, 3))
    limit = np.where(is_gray, MAX_GRAY_DIFFERENCE, MAX_DIFFERENCE)
    return np.asarray(difference < limit * contrast)


def _means(images: np.ndarray, side: int) -> np.ndarray:
    """Means of parts of images [N, S, S, 3]: float32 [N, side, side, 3]."""
    n, size = len(images), images.shape[1] // side
    parts = images.reshape(n, side, size, side, size, 3)
    means: np.ndarray = parts.mean((2, 4), dtype=np.float32)
    return means


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    """Vectors of length 1 with mean 0: float32 [N, COARSE_SIDE * COARSE_SIDE * 3]."""
    values = _means(thumbnails, COARSE_SIDE).reshape(len(thumbnails), -1)
    values -= values.mean(1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, np.float32(1e-3)))


def _close_pairs(coarse: np.ndarray) -> np.ndarray:
    """Pairs of rows that are close: int64 [P, 2], in order.

    The second half of the rows [2N, D] are the images mirrored. The first of a pair is below N, and
    the image of the second one comes later.
    """
    axes = np.linalg.eigh(coarse.T @ coarse)[1][:, -NUM_AXES:]
    projections = coarse @ axes.astype(np.float32)
    random, found = np.random.default_rng(0), [np.zeros(0, np.int64)]
    for _ in range(NUM_TABLES):
        steps = np.floor(projections / WIDTH + random.random(NUM_AXES)).astype(np.int64)
        for bucket in _equal_rows(steps):
            found += [
                _close_in(coarse, bucket[start : start + MAX_COMPARED], bucket)
                for start in range(0, len(bucket), MAX_COMPARED)
            ]
        found = [np.unique(np.concatenate(found))]
    return np.stack(np.divmod(found[0], len(coarse)), 1)


def _close_in(coarse: np.ndarray, some: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    """The close pairs of two groups of rows, as first * 2N + second."""
    count = len(coarse) // 2
    some = some[some < count]
    is_close = coarse[some] @ coarse[bucket].T > 1 - MAX_DIFFERENCE**2 / 2
    one, other = np.nonzero(is_close & (some[:, None] < bucket[None] % count))
    return np.asarray(some[one] * len(coarse) + bucket[other])


def _equal_rows(table: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of two or more row numbers of an int64 table [N, columns], equal but for chance."""
    factors = ODD ** np.arange(1, table.shape[1] + 1, dtype=np.uint64)
    hashes = (table.view(np.uint64) * factors).sum(1)  # modulo 2^64
    order = np.argsort(hashes, kind="stable")
    bounds = np.flatnonzero(np.diff(hashes[order], prepend=hashes[order[:1]] + np.uint64(1)))
    return (group for group in np.split(order, bounds[1:]) if len(group) > 1)
