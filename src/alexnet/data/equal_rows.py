"""Which rows of a table of numbers are equal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ODD = np.uint64(0x9E3779B97F4A7C15)
"""Its powers are the factors of a hash."""


def groups_of_equal_rows(table: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of two or more row numbers, ascending, whose rows have the same 64-bit hash.

    Args:
        table: int64 or float64 [N, columns].
    """
    bits = np.ascontiguousarray(table).view(np.uint64)
    hashes = (bits * ODD ** np.arange(1, bits.shape[1] + 1, dtype=np.uint64)).sum(1)  # modulo 2^64
    order = np.argsort(hashes, kind="stable")
    differs = hashes[order[1:]] != hashes[order[:-1]]
    bounds = np.flatnonzero(np.concatenate([[True], differs, [True]]))
    repeated = np.flatnonzero(np.diff(bounds) > 1)
    return (order[bounds[i] : bounds[i + 1]] for i in repeated)
