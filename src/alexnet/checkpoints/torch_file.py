"""Read what torch.save wrote, without torch.load: nothing in the file is imported or run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from alexnet.checkpoints.inert_pickle import InertUnpickler
from alexnet.checkpoints.stored_tensors import Storage, StorageType
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_PICKLE_BYTES

NUM_HEADER_PICKLES = 3
"""Pickles before a legacy file's content: magic number, protocol version, sizes of C types."""
LENGTH_BYTES = 8
"""Size of the number of elements that precedes every storage in a legacy file."""


@contextmanager
def open_torch_file(path: Path) -> Iterator[object]:
    """The content of a zip archive of torch.save; its tensors can be loaded inside the block.

    Raises:
        ValueError, OSError and others: the file is damaged.
    """
    with open_regular(path) as file, open_zip(file) as archive:
        pickle_name = next(name for name in archive.namelist() if _is_content(name))
        folder = pickle_name.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            _check_byte_order(archive.read(f"{folder}byteorder"))
        size_bytes = archive.getinfo(pickle_name).file_size
        if size_bytes > MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl has {size_bytes:,} bytes")
        storages: dict[str, Storage] = {}

        def storage(kind: StorageType, key: str, location: str, length: int) -> Storage:
            read = partial(archive.read, f"{folder}data/{key}")
            return storages.setdefault(key, Storage(kind.dtype, _num_bytes(kind, length), read))

        yield InertUnpickler(io.BytesIO(archive.read(pickle_name)), storage).load()


def _is_content(name: str) -> bool:
    return name.rpartition("/")[2] == "data.pkl"


def _check_byte_order(order: bytes) -> None:
    if order != b"little":
        raise ValueError("it was written on a big-endian machine")


def _num_bytes(kind: StorageType, length: int) -> int:
    return int(length) * (kind.dtype.itemsize if kind.dtype else 1)


@contextmanager
def open_legacy_torch_file(path: Path) -> Iterator[object]:
    """The content of a file of torch before 1.6; its tensors can be loaded inside the block.

    Raises:
        ValueError, OSError and others: the file is damaged.
    """
    with open_regular(path) as file:
        yield read_legacy(file)


def read_legacy(file: IO[bytes]) -> object:
    """The content of a file that torch before 1.6 wrote; `file` must stay open to load its tensors.

    The file is a sequence of three header pickles, the pickled content, the pickled keys of the
    storages, and the storages, each after its number of elements.
    """
    for _ in range(NUM_HEADER_PICKLES):
        InertUnpickler(file).load()
    storages: dict[str, Storage] = {}

    def storage(
        kind: StorageType, key: str, location: str, length: int, view: Any = None
    ) -> Storage:
        whole = storages.setdefault(key, Storage(kind.dtype, _num_bytes(kind, length), bytes))
        if view is None:
            return whole
        first, last = (_num_bytes(kind, end) for end in (view[1], view[1] + view[2]))
        return Storage(kind.dtype, last - first, lambda: whole.read()[first:last])

    content = InertUnpickler(file, storage).load()
    keys: Any = InertUnpickler(file).load()
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    for key in keys:
        if not isinstance(key, str):
            raise ValueError("the key of a storage is no text")
        start += LENGTH_BYTES
        storages[key].read = _reader(file, start, storages[key].size_bytes, end)
        start += storages[key].size_bytes
    return content


def _reader(file: IO[bytes], start: int, size_bytes: int, end: int) -> Callable[[], bytes]:
    def read() -> bytes:
        if start + size_bytes > end:
            raise ValueError("is cut off: the file ends too early")
        file.seek(start)
        return file.read(size_bytes)

    return read


@contextmanager
def open_pickle(path: Path) -> Iterator[object]:
    """The content of a file of pickle.dump; its tensors can be loaded inside the block.

    Raises:
        ValueError, OSError and others: the file is damaged.
    """
    with open_regular(path) as file:
        yield InertUnpickler(file, storage_from_bytes=_storage_in_pickle).load()


def _storage_in_pickle(data: bytes) -> object:
    """The storage in bytes that pickle.dump wrote for it, which are a legacy file."""
    return read_legacy(io.BytesIO(data))
