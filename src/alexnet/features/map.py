"""A two-dimensional map of a split: similar images are near to each other.

PCA maps to the first two principal components, the directions in which the features vary most. UMAP
keeps neighborhoods together, but no distances; it needs the package umap-learn.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from alexnet.errors import DataError
from alexnet.features.split import SplitFeatures
from alexnet.runtime.extras import require_extra

MapMethod: TypeAlias = Literal["pca", "umap"]
MAX_FIT_BYTES = 1 << 28
"""Size of the features that PCA is fitted to; of more images, every k-th is taken."""
MAX_UMAP_IMAGES = 100_000
"""Largest number of images for UMAP, which keeps its neighbor graph in memory."""
UMAP_MIN_DIST = 0.5
"""Distance of the nearest points on the map; umap-learn's 0.1 heaps the images of a class."""
NUM_DIRECTIONS, MAX_ITERATIONS, TOLERANCE = 8, 200, 1e-6
"""The width of the subspace iteration, and when it ends."""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A map: one point for each image of a split."""

    data: str
    split: str
    method: MapMethod
    class_names: tuple[str, ...]
    """Class names of the data."""
    names: tuple[str, ...]
    """Names of the images."""
    labels: np.ndarray
    """int64 [N]: indices of class names."""
    predicted: tuple[str, ...]
    """The most probable class of each image, of the model's classes."""
    is_right: np.ndarray | None
    """bool [N]; None where the model's classes are others than the data's."""
    points: np.ndarray
    """float64 [N, 2]."""
    explained: tuple[float, float] | None
    """Fractions of the variance along both axes, by PCA; None for UMAP."""

    def as_csv(self) -> str:
        """CSV with a line per image and the header image,label,predicted,right,x,y,data,split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("image", "label", "predicted", "right", "x", "y", "data", "split"))
        right = [""] * len(self.names) if self.is_right is None else self.is_right.astype(int)
        writer.writerows(
            (
                *(name, self.class_names[label], predicted, is_right),
                *(f"{x:.6g}", f"{y:.6g}", self.data, self.split),
            )
            for name, label, predicted, is_right, (x, y) in zip(
                self.names, self.labels, self.predicted, right, self.points, strict=True
            )
        )
        return text.getvalue()


def map_split(split: SplitFeatures, method: MapMethod = "pca", seed: int = 0) -> FeatureMap:
    """The map of a split.

    Args:
        split: from `open_split`.
        method: how the features become two numbers.
        seed: seed of UMAP, and of PCA's first directions, on which its result does not depend.

    Raises:
        UsageError: umap-learn is not installed.
        DataError: the split has fewer than three images, or too many for UMAP.
    """
    if method == "umap":
        require_extra("umap", "umap", "a map by UMAP")
    rows, store = split.rows, split.store
    if len(rows) < 3:
        raise DataError(f"a map needs at least three images; the {split.split} split has fewer")
    points, explained = _pca(split, seed) if method == "pca" else (_umap(split, seed), None)
    predicted = np.concatenate(
        [split.classifier.logits_from(part).argmax(1) for part in split.blocks()]
    )
    return FeatureMap(
        data=store.info.name,
        split=split.split,
        method=method,
        class_names=store.info.class_names,
        names=tuple(store.info.names[row] for row in rows),
        labels=store.labels[rows],
        predicted=tuple(split.classifier.class_names[one] for one in predicted),
        is_right=None if split.labels is None else split.labels[rows] == predicted,
        points=points,
        explained=explained,
    )


def _pca(split: SplitFeatures, seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Coordinates float64 [N, 2] on two principal components, and the variance they explain."""
    features, rows = split.index.features, split.rows
    most = max(3, MAX_FIT_BYTES // (4 * features.shape[1]))
    sample = features[rows[:: -(-len(rows) // most)]]
    mean, directions, explained = principal_components(sample, seed)
    points = [(part - mean) @ directions for part in split.blocks()]
    return np.concatenate(points).astype(np.float64), explained


def principal_components(
    features: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """The mean [D], the first two principal components [D, 2], and their fractions of the variance.

    They are found by subspace iteration, which reads the features twice per step and needs no D x D
    matrix. The largest coordinate of a component is positive.
    """
    mean = features.mean(0, dtype=np.float64).astype(np.float32)
    centered = features - mean
    width = min(NUM_DIRECTIONS, *features.shape)
    start = np.random.default_rng(seed).normal(size=(features.shape[1], width))
    basis = np.linalg.qr(start)[0].astype(np.float32)
    before = np.zeros(width)
    for _ in range(MAX_ITERATIONS):
        basis, values = _iterate(centered, basis)
        if np.abs(values - before)[:2].max() <= TOLERANCE * max(values[0], 1e-300):
            break
        before = values
    total = float(np.einsum("nd,nd->", centered, centered, dtype=np.float64)) or 1.0
    directions = basis[:, :2] if width > 1 else np.pad(basis, ((0, 0), (0, 1)))
    signs = np.sign(np.take_along_axis(directions, np.abs(directions).argmax(0)[None], 0))
    first, second = (*values[:2], 0.0)[:2]
    return mean, directions * signs, (float(first) / total, float(second) / total)


def _iterate(centered: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step: the subspace's best orthonormal basis, and the sums of squares along it."""
    image = centered.T @ (centered @ basis)
    basis = np.linalg.qr(image.astype(np.float64))[0].astype(np.float32)
    projected = centered @ basis
    values, vectors = np.linalg.eigh((projected.T @ projected).astype(np.float64))
    order = values.argsort()[::-1]
    return (basis @ vectors[:, order]).astype(np.float32), values[order]


def _umap(split: SplitFeatures, seed: int) -> np.ndarray:
    """Coordinates float64 [N, 2] by UMAP, on one thread, so that a seed gives the same map.

    It starts from the principal components, which keeps groups without common neighbors from
    drifting far apart.

    Source: McInnes et al. 2018; Kobak and Linderman 2021 for the start.
    """
    if len(split.rows) > MAX_UMAP_IMAGES:
        raise DataError(
            f"UMAP takes {MAX_UMAP_IMAGES:,} images at most, not {len(split.rows):,}; "
            "use --map-method pca"
        )
    from umap import UMAP

    neighbors = min(15, len(split.rows) - 1)
    model = UMAP(
        n_neighbors=neighbors, min_dist=UMAP_MIN_DIST, init="pca", random_state=seed, n_jobs=1
    )
    return np.asarray(model.fit_transform(split.index.features[split.rows]), np.float64)
