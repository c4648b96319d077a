"""Images that are bytes in a column of Parquet files, opened by index."""

from __future__ import annotations

import io
import os
import stat
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from PIL import Image

from alexnet.data.data_files import DataFile, LocalFile, signatures
from alexnet.data.images.open import read_image
from alexnet.data.images.rejection import is_machine_failure
from alexnet.errors import DataError
from alexnet.io.text import error_text

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_CACHED_BYTES = 1 << 28
"""Size of the row groups that are kept; the last one is kept whatever its size."""


@contextmanager
def parquet_errors(path: DataFile) -> Iterator[None]:
    """Turn what damaged files make pyarrow raise into a DataError.

    A failure of the machine stays a MemoryError, or an OSError that names the file.

    A damaged footer ends the whole process when `RowGroupMetaData.column` is called (pyarrow 26),
    so nothing here calls it.
    """
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # among them pa.ArrowMemoryError
        raise
    except (pa.ArrowException, OSError, ValueError, IndexError, KeyError) as error:
        if isinstance(error, OSError) and error.errno and is_machine_failure(error):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise DataError(f"{path} cannot be read as a Parquet file: {error_text(error)}") from error


def open_parquet(file: DataFile, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """Open a Parquet file; reads only its footer, and not even that if `metadata` is given.

    Raises:
        DataError: it cannot be read, or is no Parquet file.
        OSError: the machine failed.
    """
    import pyarrow.parquet as pq

    with parquet_errors(file):
        if not isinstance(file, LocalFile):
            return pq.ParquetFile(file.open(), metadata=metadata)
        if not stat.S_ISREG(file.path.stat().st_mode):
            raise OSError("it is not a file")
        return pq.ParquetFile(file.path, metadata=metadata)


@dataclass(frozen=True)
class RowGroup:
    """Rows of one file that are read together."""

    file: DataFile
    number: int
    """Index within the file."""
    num_rows: int


@dataclass(frozen=True, eq=False)
class ParquetImages:
    """The images of some row groups; threads share the row groups that were read last."""

    row_groups: Sequence[RowGroup]
    column: str
    """The column of bytes: "image", or "image.bytes" of a struct."""
    rows: Sequence[int]
    """The row of every image, counted through all row groups."""
    _starts: list[int] = field(init=False)
    _cache: OrderedDict[int, Any] = field(init=False, default_factory=OrderedDict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        starts = list(accumulate((group.num_rows for group in self.row_groups), initial=0))
        object.__setattr__(self, "_starts", starts)

    @contextmanager
    def open(self, index: int, side: int = 0) -> Iterator[Image.Image]:
        """Read and decode one image.

        Raises:
            DataError: its row holds no bytes, or its row group cannot be read.
        """
        with read_image(io.BytesIO(self.content(index)), side) as image:
            yield image

    def content(self, index: int) -> bytes:
        """The undecoded bytes of one image.

        Raises:
            DataError: its row holds no bytes, or its row group cannot be read.
        """
        row = self.rows[index]
        group = bisect_right(self._starts, row) - 1
        values = self._values(group)
        with parquet_errors(self.row_groups[group].file):
            content: bytes | None = values[row - self._starts[group]].as_py()
        if not content:
            raise DataError("its row holds no bytes")
        return content

    def signatures(self) -> Iterator[bytes]:
        """The signature of every image: that of its file, and its row."""
        files = list({str(group.file): group.file for group in self.row_groups}.values())
        of_file = dict(zip(map(str, files), signatures(files), strict=True))
        for row in self.rows:
            group = self.row_groups[bisect_right(self._starts, row) - 1]
            yield of_file[str(group.file)] + b" %d" % row

    def _values(self, group: int) -> Any:
        """The column of one row group, an Arrow array of bytes."""
        with self._lock:
            if group not in self._cache:
                self._cache[group] = self._read(group)
            self._cache.move_to_end(group)
            while len(self._cache) > 1 and self._cached_bytes() > MAX_CACHED_BYTES:
                self._cache.popitem(last=False)
            return self._cache[group]

    def _cached_bytes(self) -> int:
        return sum(values.nbytes for values in self._cache.values())

    def _read(self, group: int) -> Any:
        import pyarrow as pa

        place = self.row_groups[group]
        with parquet_errors(place.file), open_parquet(place.file) as file:
            table = file.read_row_group(place.number, [self.column], use_threads=False)
            values = table.column(0).combine_chunks()
            if len(values) != place.num_rows:
                raise ValueError(f"row group {place.number} has {len(values)} rows")
            return values.field("bytes") if pa.types.is_struct(values.type) else values
