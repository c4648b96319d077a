"""The nearest rows of an index are those of the definition, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import DataError, UsageError
from alexnet.features import search
from alexnet.features.index import open_index
from support.feature_indices import write_index


def by_definition(features: np.ndarray, queries: np.ndarray, cosine: bool) -> np.ndarray:
    """Distances float64 [Q, N]."""
    x, q = features.astype(np.float64), queries.astype(np.float64)
    if not cosine:
        return np.sqrt(((q[:, None] - x) ** 2).sum(2))
    norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)
    return 1 - np.divide(q @ x.T, norms, out=np.zeros(norms.shape), where=norms > 0)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK_BYTES", 4 * 8 * 16)  # 16 rows of 8 features
    monkeypatch.setattr(search, "MAX_QUERIES", 4)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("offset", [0, 1000])  # where products in float32 lose every digit
@pytest.mark.usefixtures("small_blocks")
def test_nearest_rows_are_those_of_the_definition(
    tmp_path: Path, cosine: bool, offset: float
) -> None:
    random = np.random.default_rng(3)
    features = (offset + random.normal(size=(100, 8))).astype(np.float32)
    features[40] = features[7] = 0
    features[[50, 90]] = features[11]
    queries = np.concatenate([features[[11, 40, 99]], features[:7] + np.float32(0.01)])
    rows, distances = write_index(tmp_path, features).nearest(queries, top=6, cosine=cosine)
    expected = by_definition(features, queries, cosine)
    order = np.lexsort((np.arange(100)[None].repeat(10, 0), expected.round(12)))[:, :6]
    np.testing.assert_allclose(distances, np.take_along_axis(expected, order, 1), atol=1e-9)
    found = np.take_along_axis(expected, rows, 1)
    np.testing.assert_allclose(found, distances, atol=1e-9)
    assert rows[0, :3].tolist() == [11, 50, 90]


@pytest.mark.usefixtures("small_blocks")
def test_only_rows_that_are_asked_for(tmp_path: Path) -> None:
    features = np.arange(400, dtype=np.float32).reshape(50, 8)
    index = write_index(tmp_path, features)
    rows, _ = index.nearest(features[[20]], np.array([3, 18, 23, 49]), top=3)
    assert rows.tolist() == [[18, 23, 3]]
    rows, _ = index.nearest(features[[20]], np.array([3, 18]), top=3)
    assert rows.tolist() == [[18, 3]]


@pytest.mark.parametrize("scale", [1e-30, 1e25])  # products are 0, or infinite
def test_values_beyond_the_range_of_products(tmp_path: Path, scale: float) -> None:
    features = (scale * np.random.default_rng(0).normal(size=(30, 8))).astype(np.float32)
    rows, _ = write_index(tmp_path, features).nearest(features[4:5], top=4)
    assert (
        rows[0].tolist() == by_definition(features, features[4:5], False)[0].argsort()[:4].tolist()
    )


def test_what_cannot_be_searched(tmp_path: Path) -> None:
    index = write_index(tmp_path, np.ones((5, 8), np.float32))
    with pytest.raises(UsageError, match="not \\[1, 7\\]"):
        index.nearest(np.ones((1, 7)))
    with pytest.raises(UsageError, match="at least one row"):
        index.nearest(np.ones((1, 8)), np.zeros(0, np.int64))
    assert index.nearest(np.ones((0, 8)))[0].shape == (0, 5)


def test_a_damaged_index_is_told(tmp_path: Path) -> None:
    index = write_index(tmp_path, np.ones((5, 8), np.float32))
    path = index.folder / "features.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="cut short"):
        index.nearest(np.ones((1, 8)))
    with pytest.raises(DataError, match="remove it"):
        open_index(index.folder)
