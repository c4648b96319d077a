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
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from alexnet.data.equal_rows import groups_of_equal_rows

SIDE = 16
"""Side of a thumbnail, in pixels."""
MAX_DIFFERENCE = 0.15
"""Largest difference, in standard deviations. In Oxford's 17 flowers copies differ by at most 0.14
and other images by at least 0.27; in CIFAR-10 no two images are below 0.2."""
MAX_GRAY_DIFFERENCE = 0.05
"""The limit for gray images: in MNIST 1,075 digits are below 0.15, and 7 below 0.1, by chance."""
MIN_STD = 4.0
"""Thumbnails whose values (0 to 255) have a smaller standard deviation are not compared."""
COARSE_SIDE = 8
"""Number of parts along a side of a thumbnail whose means are hashed."""
NUM_AXES, WIDTH, NUM_TABLES = 8, 0.3, 16
"""Projections per hash, the width of their steps, and the number of hashes."""
MAX_COMPARED = 2048
"""Images that are compared with each other at once."""
MAX_PAIRS = 1 << 20
"""Pairs of images with a hash in common that are kept until they are compared."""


class NearDuplicate(NamedTuple):
    """An image that is nearly equal to an earlier one."""

    copy: int
    first: int
    """The earliest image that it is nearly equal to."""
    is_mirrored: bool


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """The means of the parts of an image uint8 [S, S, 3] as uint8 [SIDE, SIDE, 3]."""
    return np.asarray(np.rint(_means(pixels[None], SIDE)[0]).astype(np.uint8))


def near_duplicates(thumbnails: np.ndarray) -> list[NearDuplicate]:
    """The images that are nearly equal to an earlier one, in order.

    Args:
        thumbnails: uint8 [N, SIDE, SIDE, 3].
    """
    rows = np.flatnonzero(thumbnails.std((1, 2, 3)) >= MIN_STD)
    if len(rows) < 2:
        return []
    mirrored = thumbnails[rows, :, ::-1]
    coarse = np.concatenate([_coarse(thumbnails[rows]), _coarse(mirrored)])
    search = _Search(thumbnails, rows, coarse, earliest=2 * np.arange(len(rows)))
    found, num_pairs = [np.zeros(0, np.int64)], 0
    for bucket in _buckets(coarse):
        for some, others in product(_parts(bucket[bucket < len(rows)]), _parts(bucket)):
            found.append(search.close_pairs(some, others))
            num_pairs += len(found[-1])
            if num_pairs > MAX_PAIRS:
                search.compare(np.concatenate(found))
                found, num_pairs = [np.zeros(0, np.int64)], 0
    search.compare(np.concatenate(found))
    return [
        NearDuplicate(int(rows[i]), int(rows[earliest // 2]), bool(earliest % 2))
        for i, earliest in enumerate(search.earliest.tolist())
        if earliest < 2 * i
    ]


def joined(pairs: Sequence[NearDuplicate]) -> list[list[NearDuplicate]]:
    """The pairs in groups; each copy is nearly equal to its group's first image or to a copy."""
    root_of: dict[int, int] = {}
    groups: dict[int, list[NearDuplicate]] = {}
    for one in pairs:
        root = root_of.setdefault(one.copy, root_of.get(one.first, one.first))
        groups.setdefault(root, []).append(one)
    return list(groups.values())


def _are_near(ones: np.ndarray, others: np.ndarray, is_mirrored: np.ndarray) -> np.ndarray:
    """Whether the thumbnails of each pair differ little, relative to their contrast: bool [P]."""
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
    """Coarser thumbnails, with mean 0 and length 1: float32 [N, COARSE_SIDE * COARSE_SIDE * 3]."""
    values = _means(thumbnails, COARSE_SIDE).reshape(len(thumbnails), -1)
    values -= values.mean(1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, np.float32(1e-3)))


def _buckets(coarse: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of rows, ascending, that share a hash, for each of the NUM_TABLES hashes."""
    axes = np.linalg.eigh(coarse.T @ coarse)[1][:, -NUM_AXES:]
    projections = coarse @ axes.astype(np.float32)
    random = np.random.default_rng(0)
    for _ in range(NUM_TABLES):
        steps = np.floor(projections / WIDTH + random.random(NUM_AXES)).astype(np.int64)
        yield from groups_of_equal_rows(steps)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in parts of at most MAX_COMPARED."""
    return [rows[start : start + MAX_COMPARED] for start in range(0, len(rows), MAX_COMPARED)]


@dataclass(frozen=True, eq=False)
class _Search:
    """A search for the earliest image that each image is nearly equal to.

    An image for which one is found is only compared with still earlier ones: of a thousand frames
    of a film each is compared with the first, and not with all others.
    """

    thumbnails: np.ndarray
    rows: np.ndarray
    """int64 [N]: indices of the thumbnails that are searched."""
    coarse: np.ndarray
    """float32 [2N, D]; the second half are the images mirrored."""
    earliest: np.ndarray
    """int64 [N]: twice the earliest image's row, plus 1 if mirrored; at first twice the own row."""

    def close_pairs(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Pairs of a row in `some` (below N) and a close row in `others` that is of a later image.

        Returns:
            One number, other * 2N + first, for each pair: int64 [P].
        """
        count = len(self.rows)
        others = others[self.earliest[others % count] > 2 * some[0]]
        is_close = self.coarse[others] @ self.coarse[some].T > 1 - MAX_DIFFERENCE**2 / 2
        keys = 2 * some + (others >= count)[:, None]
        place, number = np.nonzero(is_close & (keys < self.earliest[others % count, None]))
        return np.asarray(others[place] * 2 * count + some[number])

    def compare(self, pairs: np.ndarray) -> None:
        """Compare the thumbnails of close pairs, each image with the earliest candidates first."""
        count = len(self.rows)
        pairs = np.sort(pairs, kind="stable")  # many are in order: np.unique is 20 times as slow
        others, firsts = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], 2 * count)
        images, is_mirrored = others % count, others >= count
        keys = 2 * firsts + is_mirrored
        rank = np.arange(len(others)) - np.searchsorted(others, others)
        size, left = 1, np.arange(len(others))
        while len(left):
            for part in _parts(left[rank[left] < size]):
                ones, copies = (self.thumbnails[self.rows[i[part]]] for i in (firsts, images))
                near = part[_are_near(ones, copies, is_mirrored[part])]
                np.minimum.at(self.earliest, images[near], keys[near])
            left = left[(rank[left] >= size) & (keys[left] < self.earliest[images[left]])]
            size *= 2
