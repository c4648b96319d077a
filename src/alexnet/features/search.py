"""The nearest rows of an index: brute force in blocks, and exact.

Products of the queries with a block are computed in float32, in one matrix multiplication. A sum of
D products in any order is within D / 2^24 * |x| |q| of the exact one (Higham 2002, section 3.1), so
that every row gets a lower and an upper bound of its distance. Only rows whose lower bound is not
above the k-th smallest upper bound can be among the k nearest; their distances are then computed
from the differences, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from alexnet.errors import UsageError

if TYPE_CHECKING:
    from alexnet.features.index import FeatureIndex

BLOCK_BYTES = 1 << 26
"""Features that are read at once: 64 MiB."""
MAX_QUERIES = 64
"""Queries for which the features are read at once; more are searched in turns."""
UNIT_ROUNDOFF = 2.0**-24
"""Unit roundoff of float32."""
SMALLEST = 2.0**-126
"""Smallest normal number of float32; smaller ones may become 0."""
SLACK = 1e-12
"""Allowance for rounding errors in float64."""


@dataclass
class _Candidates:
    """Rows that may be among the nearest of one query, with bounds of their distance."""

    top: int
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    lower: np.ndarray = field(default_factory=lambda: np.zeros(0))
    upper: np.ndarray = field(default_factory=lambda: np.zeros(0))
    limit: float = np.inf
    """The k-th smallest upper bound so far."""

    def add(self, rows: np.ndarray, distances: np.ndarray, errors: np.ndarray) -> None:
        """Add the rows of a block that are not too far away, and drop those that now are."""
        near = np.flatnonzero(distances - errors <= self.limit)
        if not len(near):
            return
        self.rows = np.concatenate([self.rows, rows[near]])
        self.lower = np.concatenate([self.lower, (distances - errors)[near]])
        self.upper = np.concatenate([self.upper, (distances + errors)[near]])
        if len(self.rows) > self.top:
            self.limit = float(np.partition(self.upper, self.top - 1)[self.top - 1])
            kept = self.lower <= self.limit
            self.rows, self.lower, self.upper = (
                values[kept] for values in (self.rows, self.lower, self.upper)
            )


def nearest_rows(
    index: FeatureIndex,
    queries: np.ndarray,
    rows: np.ndarray | None = None,
    top: int = 5,
    *,
    cosine: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest rows of an index to each query; see `FeatureIndex.nearest`."""
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != index.info.num_features:
        raise UsageError(f"queries are [Q, {index.info.num_features}], not {list(queries.shape)}")
    top = min(top, len(index) if rows is None else len(rows))
    if top < 1:
        raise UsageError("nearest rows need at least one row, and top of at least 1")
    found = [
        _search(index, queries[start : start + MAX_QUERIES], rows, top, cosine)
        for start in range(0, len(queries), MAX_QUERIES)
    ]
    if not found:
        return np.zeros((0, top), np.int64), np.zeros((0, top))
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def _search(
    index: FeatureIndex, queries: np.ndarray, rows: np.ndarray | None, top: int, cosine: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and distances of at most MAX_QUERIES queries."""
    candidates = [_Candidates(top) for _ in queries]
    query_norms = np.einsum("qd,qd->q", queries, queries, dtype=np.float64)
    for start, block in index.blocks(BLOCK_BYTES):
        numbers = np.arange(start, start + len(block))
        if rows is not None:
            first, last = np.searchsorted(rows, [start, start + len(block)])
            numbers = rows[first:last]
        with np.errstate(over="ignore", invalid="ignore"):  # `_bounds` knows
            products = queries @ block.T
        squares = index.squared_norms[numbers]
        for one, square, line in zip(candidates, query_norms, products, strict=True):
            one.add(numbers, *_bounds(line[numbers - start], squares, square, len(block.T), cosine))
    exact = [
        _exact(index, query, one.rows, top, cosine)
        for query, one in zip(queries, candidates, strict=True)
    ]
    return np.stack([one for one, _ in exact]), np.stack([one for _, one in exact])


def _bounds(
    products: np.ndarray, squares: np.ndarray, square: float, num_features: int, cosine: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances, or 1 - cosine, from products in float32, and their largest errors."""
    norms = np.sqrt(squares * square)
    is_known = np.isfinite(products)  # else it is too large for float32
    products = np.where(is_known, products, 0)
    errors = np.where(is_known, num_features * (2 * UNIT_ROUNDOFF * norms + SMALLEST), np.inf)
    if cosine:
        inverse = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)
        return 1 - products * inverse, errors * inverse + SLACK
    return squares + square - 2.0 * products, 2 * errors + SLACK * (squares + square)


def _exact(
    index: FeatureIndex, query: np.ndarray, rows: np.ndarray, top: int, cosine: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The `top` nearest of some rows and their distances, computed in float64."""
    distances = np.zeros(len(rows))
    step = max(1, BLOCK_BYTES // (8 * len(query)))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        measure = _cosine_distances if cosine else _euclidean_distances
        distances[start : start + step] = measure(
            index.features[part].astype(np.float64), query.astype(np.float64)
        )
    order = np.lexsort((rows, distances))[:top]
    return rows[order], distances[order]


def _euclidean_distances(features: np.ndarray, query: np.ndarray) -> np.ndarray:
    distances: np.ndarray = np.sqrt(((features - query) ** 2).sum(1))
    return distances


def _cosine_distances(features: np.ndarray, query: np.ndarray) -> np.ndarray:
    """1 - cosine of each row and the query; 1 where either is zero everywhere."""
    norms = np.sqrt((features**2).sum(1) * (query**2).sum())
    cosines = np.divide(features @ query, norms, out=np.zeros(len(norms)), where=norms > 0)
    distances: np.ndarray = np.maximum(1 - cosines, 0)
    return distances
