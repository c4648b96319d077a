"""The features of all images of a data set, as one memory-mapped array in the cache.

An index is a folder: `features.npy` float32 [N, D], `squared_norms.npy` float64 [N] and
`index.json`. Row i belongs to image i of the store. Features are kept in float32, in which the
network gives them, so that distances are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alexnet.config.serialization import from_dict, parse_json
from alexnet.errors import ConfigError, DataError
from alexnet.features.search import nearest_rows
from alexnet.io.in_use import InUse, mark_used
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Dropout, Flatten

INDEX_FORMAT = 1
"""Part of the name of an index's folder, so that an index of another format is not found."""
INDEX_FILES = ("features.npy", "squared_norms.npy", "index.json")
"""All that a finished index holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexInfo:
    """The content of `index.json`."""

    data: str
    """Name of the data set."""
    fingerprint: str
    """Fingerprint of the data set, as in its store."""
    model: str
    """Digest of the weights, the architecture, the preprocessing and the precision."""
    layer: str
    """The layer whose inputs are the features."""
    num_images: int
    num_features: int
    """D."""


def source_layer(arch: Architecture, layer: str) -> str:
    """The layer whose outputs are the inputs of another: relu7 for fc8 of AlexNet.

    Dropout and flattening, which change no number at inference, are skipped.
    """
    names = [one.name for one in arch.layers]
    before = arch.layers[: names.index(layer)]
    return ["input", *(one.name for one in before if not isinstance(one, Dropout | Flatten))][-1]


@dataclass(frozen=True, eq=False)
class FeatureIndex:
    """An opened index; features stay on the disk until they are read.

    Its pickle is the path of the folder, which is opened anew.
    """

    folder: Path
    info: IndexInfo
    features: np.ndarray
    """float32 [N, D], memory-mapped."""
    squared_norms: np.ndarray
    """float64 [N]."""
    in_use: InUse | None = field(default=None, repr=False)
    """Keeps `alexnet cache clean` from removing the index."""

    def __repr__(self) -> str:
        shape = f"{len(self):,} x {self.info.num_features:,} features"
        return f"FeatureIndex({self.info.data!r}, {shape} of the input of {self.info.layer})"

    def __len__(self) -> int:
        return len(self.features)

    def __reduce__(self) -> tuple[Callable[[Path], FeatureIndex], tuple[Path]]:
        return open_index, (self.folder,)

    def blocks(self, max_bytes: int) -> Iterator[tuple[int, np.ndarray]]:
        """The features in blocks of rows [n, D], each with the index of its first row.

        All blocks use the same memory; a block is valid until the next one is asked for.

        Args:
            max_bytes: largest size of a block, which has at least one row.

        Raises:
            DataError: the file is shorter than it was when the index was opened.
        """
        count = max(1, max_bytes // (4 * self.features.shape[1]))
        block = np.empty((min(count, len(self)), self.features.shape[1]), np.float32)
        with (self.folder / "features.npy").open("rb", buffering=0) as file:
            file.seek(self.features.offset)  # type: ignore[attr-defined]
            for start in range(0, len(self), count):
                part = block[: len(self) - start]
                if _read_into(file, part) != part.nbytes:
                    raise _cut_short(self.folder)
                yield start, part

    def nearest(
        self,
        queries: np.ndarray,
        rows: np.ndarray | None = None,
        top: int = 5,
        *,
        cosine: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest rows to each query, exactly; ties in the order of the rows.

        All features are read once for all queries, in blocks, so that the memory is constant.

        Args:
            queries: float32 [Q, D].
            rows: int64, ascending: the rows that are searched; all unless given.
            top: number of rows to find; fewer if there are fewer.
            cosine: use 1 - cosine of the angle in place of the Euclidean distance.

        Returns:
            Rows int64 [Q, top] and distances float64 [Q, top], nearest first.
        """
        return nearest_rows(self, queries, rows, top, cosine=cosine)


def _read_into(file: object, block: np.ndarray) -> int:
    """Read a file into a block; return the number of bytes, less than its size if the file ends.

    It is read in a loop, as one call may read only 2 GB.
    """
    view, done = block.reshape(-1).view(np.uint8).data, 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return done


def _cut_short(folder: Path) -> DataError:
    return DataError(f"{folder} has been cut short; remove it, and it is computed again")


def open_index(folder: Path) -> FeatureIndex:
    """Open a finished index.

    Raises:
        DataError: the folder is not an index, or its files do not belong together.
    """
    try:
        info = from_dict(IndexInfo, parse_json((folder / "index.json").read_text(encoding="utf-8")))
        features = np.load(folder / "features.npy", mmap_mode="r")
        norms = np.load(folder / "squared_norms.npy")
    except (OSError, ValueError, ConfigError) as error:
        raise DataError(
            f"{folder} is not a whole feature index ({error}); remove it, and it is computed again"
        ) from error
    shape = (info.num_images, info.num_features)
    kinds = (features.dtype, norms.dtype, norms.shape)
    if features.shape != shape or kinds != (np.float32, np.float64, shape[:1]):
        raise DataError(
            f"{folder} holds features {features.shape}, not {shape}; "
            "remove it, and it is computed again"
        )
    mark_used(folder)
    return FeatureIndex(folder, info, features, norms, InUse(folder / "index.json"))
