"""Feature indices of given features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alexnet.config.serialization import to_json
from alexnet.features.index import FeatureIndex, IndexInfo, open_index


def write_index(folder: Path, features: np.ndarray) -> FeatureIndex:
    """An index of features float32 [N, D]."""
    info = IndexInfo(
        data="numbers",
        fingerprint="0" * 16,
        model="0" * 16,
        layer="fc8",
        num_images=len(features),
        num_features=features.shape[1],
    )
    np.save(folder / "features.npy", features)
    norms = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    np.save(folder / "squared_norms.npy", norms)
    (folder / "index.json").write_text(to_json(info))
    return open_index(folder)
