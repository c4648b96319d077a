"""Files of a data set, on the disk or at an address that fsspec opens (s3://, gs://, hf://, ..)."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from alexnet.data.source import file_signature
from alexnet.errors import DataError, UsageError
from alexnet.io.files import open_regular
from alexnet.io.http import is_offline
from alexnet.io.text import error_text
from alexnet.runtime.extras import require_extra

ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://(?P<path>.+)")
LOCAL_SCHEMES = ("memory", "file", "local")
"""Schemes of addresses that need no network."""
MAX_REQUESTS = 16
"""Largest number of requests at the same time."""


class DataFile(Protocol):
    """A file that can be read in parts from any thread; `str` gives its path or address."""

    @property
    def name(self) -> str:
        """The file's path relative to the data set, with slashes."""
        ...

    def open(self) -> IO[bytes]:
        """Open the file for reading; the stream is seekable.

        Raises:
            OSError: it cannot be opened.
        """
        ...

    def read(self, start: int, length: int) -> bytes:
        """Read `length` bytes from `start` on, or fewer at the end of the file.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def signature(self) -> bytes:
        """Bytes that change when the file changes."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on the disk."""

    path: Path
    name: str

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> IO[bytes]:
        """Open the file, which must be a regular one."""
        return open_regular(self.path)

    def read(self, start: int, length: int) -> bytes:
        """Read `length` bytes from `start` on, or fewer at the end of the file."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            return file.read(length)

    def signature(self) -> bytes:
        """The result of `file_signature`."""
        return file_signature(self.path)


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address."""

    url: str
    name: str
    system: Any = field(compare=False, repr=False)
    """The fsspec file system that holds the file."""

    def __str__(self) -> str:
        return self.url

    def open(self) -> IO[bytes]:
        """Open the file for reading in blocks."""
        with _as_os_error(self.url):
            return io.BufferedReader(_RemoteReader(self.url, self.system.open(self.url, "rb")))

    def read(self, start: int, length: int) -> bytes:
        """Read `length` bytes from `start` on in one request."""
        with _as_os_error(self.url):
            return bytes(self.system.cat_file(self.url, start=start, end=start + length))

    def signature(self) -> bytes:
        """The file system's current metadata, such as size, modification time and ETag."""
        with _as_os_error(self.url):
            self.system.invalidate_cache()
            facts = self.system.info(self.url)
        return repr(sorted((key, str(value)) for key, value in facts.items())).encode()


class _RemoteReader(io.RawIOBase):
    """An fsspec file whose errors are all raised as OSError."""

    def __init__(self, url: str, file: Any) -> None:
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, position: int, whence: int = 0) -> int:
        with _as_os_error(self._url):
            return int(self._file.seek(position, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with _as_os_error(self._url):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def _as_os_error(url: str) -> Iterator[None]:
    """Turn every error that a file system's library raises into an OSError that names the file."""
    try:
        yield
    except Exception as error:
        raise OSError(errno.EIO, error_text(error), url) from error


def local_files(root: Path, paths: list[Path]) -> list[DataFile]:
    """The paths as `LocalFile`s, named relative to `root`."""
    return [LocalFile(path, path.relative_to(root).as_posix()) for path in paths]


def is_remote(text: str) -> bool:
    """Whether a text is an address of any kind, and not the path of a file, folder or drive."""
    return ADDRESS.fullmatch(text) is not None and not os.path.exists(text)  # noqa: PTH110 - a long text


def remote_files(url: str, endings: tuple[str, ...]) -> list[DataFile]:
    """The files with these endings at an address, sorted.

    The address is that of a file or of a folder, or a pattern with *.

    Raises:
        UsageError: fsspec or the package for this kind of address is not installed, or the address
            is of http, or `$ALEXNET_OFFLINE` is set.
        DataError: there are no such files, or the address cannot be read.
    """
    found = ADDRESS.fullmatch(url)
    scheme = found["scheme"].lower() if found else ""
    if is_offline() and scheme not in LOCAL_SCHEMES:
        raise UsageError(f"{url} is not read: $ALEXNET_OFFLINE is set")
    if scheme == "http":
        raise UsageError(f"{url} is not an https address; only these are read")
    require_extra("fsspec", "remote", f"reading {url}")
    try:
        return _find(url, scheme, endings)
    except ImportError as error:
        raise UsageError(f"{url} needs one more package: {error_text(error)}") from error
    except DataError:
        raise
    except Exception as error:  # the libraries of file systems have errors of their own
        raise DataError(f"{url} cannot be read: {error_text(error)}") from error


def _find(url: str, scheme: str, endings: tuple[str, ...]) -> list[DataFile]:
    import fsspec.core

    system, path = fsspec.core.url_to_fs(url)
    if "*" in path:
        found = system.glob(path)
    else:
        found = [path] if system.isfile(path) else system.find(path)
    paths = sorted(one for one in found if str(one).lower().endswith(endings))
    if not paths:
        what = " or ".join(endings)
        raise DataError(f"there are no files {what} at {url}")
    root = path if system.isdir(path) else path.partition("*")[0].rpartition("/")[0]
    return [
        RemoteFile(system.unstrip_protocol(one), one.removeprefix(root).lstrip("/"), system)
        for one in paths
    ]


def signatures(files: Sequence[DataFile]) -> list[bytes]:
    """The signature of each file, read from `MAX_REQUESTS` files at a time."""
    with ThreadPoolExecutor(MAX_REQUESTS) as pool:
        return list(pool.map(lambda file: file.signature(), files))
