"""Unpack the archive of a data set into a folder: regular files alone, inside it, within limits.

No file is written outside the folder. Links, devices, encrypted files, two files of one name, and
archives that unpack to far more than their size are rejected.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from alexnet.errors import DataError
from alexnet.io.archives import CHUNK_BYTES, decompressed_tar, open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import (
    MAX_DATA_ARCHIVE_FILES,
    MAX_DATA_ARCHIVE_INDEX_BYTES,
    MAX_UNPACKED_RATIO,
    MIN_FREE_BYTES,
    MIN_UNPACKED_LIMIT_BYTES,
)
from alexnet.io.text import IS_WINDOWS, error_text, is_file_name
from alexnet.io.zip_names import zip_names
from alexnet.reporter import ProgressCallback, ignore_progress

UNPACK = "unpack it yourself and give the folder"
DRIVE = re.compile("[A-Za-z]:")
HIDDEN = ("__MACOSX", ".")
"""First characters of the names of files and folders that are not unpacked."""


class _Member(NamedTuple):
    """A file of an archive, ready to be read."""

    name: str
    content: IO[bytes]


def unpack(archive: Path, folder: Path, on_progress: ProgressCallback = ignore_progress) -> None:
    """Unpack a .zip, or a .tar of any compression, into an existing empty folder.

    All files get the time of the archive, so that unpacking again gives the same data set.

    Args:
        archive: the file.
        folder: the folder for its files.
        on_progress: called with (bytes of the archive read, bytes in all).

    Raises:
        DataError: the archive is damaged or cut off, has a rejected entry, or is too large.
        OSError: the archive cannot be read, or a file cannot be written.
    """
    with open_regular(archive) as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        size, time = archive.stat().st_size, archive.stat().st_mtime_ns
        room = _Room(archive, size, shutil.disk_usage(folder).free)
        members = _zip_members if is_zip else _tar_members
        with _damage_as_data_error(archive):
            for member in members(file, room):
                path = _safe_path(archive, folder, member.name)
                if path:
                    _write(archive, path, member.content, room, time)
                on_progress(min(file.tell(), size - 1), size)
        on_progress(size, size)


class _Room:
    """A count of unpacked files and bytes, with limits."""

    def __init__(self, archive: Path, size_bytes: int, free_bytes: int) -> None:
        self._archive, self._num_files, self._num_bytes = archive, 0, 0
        self._free_bytes = max(0, free_bytes - MIN_FREE_BYTES)
        self._usual_bytes = max(MIN_UNPACKED_LIMIT_BYTES, MAX_UNPACKED_RATIO * size_bytes)

    @property
    def max_bytes(self) -> int:
        """Largest size to which the archive may unpack, including the headers in a tar archive."""
        return self._usual_bytes + MAX_DATA_ARCHIVE_INDEX_BYTES

    def add_file(self) -> None:
        """Count a file; DataError if there are too many."""
        self._num_files += 1
        if self._num_files > MAX_DATA_ARCHIVE_FILES:
            raise DataError(f"{self._archive} has more than {MAX_DATA_ARCHIVE_FILES:,} files")

    def add_bytes(self, count: int) -> None:
        """Count bytes; DataError if there are too many, or more than the disk has free."""
        self._num_bytes += count
        if self._num_bytes > self._usual_bytes:
            raise DataError(
                f"{self._archive} unpacks to more than {self._usual_bytes:,} bytes, far more than "
                f"photos do; if it is what you expect, {UNPACK}"
            )
        if self._num_bytes > self._free_bytes:
            raise DataError(
                f"{self._archive} unpacks to more than the {self._free_bytes:,} bytes that are "
                "free in the cache; free some space, or let $ALEXNET_CACHE name another folder"
            )


@contextmanager
def _damage_as_data_error(archive: Path) -> Iterator[None]:
    """Turn any error that the readers of archives raise for damage into a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; gzip's own errors have no number
        reason = error_text(error)
        raise DataError(
            f"{archive} is damaged or not complete ({reason}); fetch it again"
        ) from error


def _tar_members(file: IO[bytes], room: _Room) -> Iterator[_Member]:
    stream = decompressed_tar(file, CHUNK_BYTES, room.max_bytes)
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # a million would take a gigabyte
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                kind = "a link" if member.issym() or member.islnk() else "a device"
                raise DataError(f"the archive holds {kind}, {member.name!r}; {UNPACK}")
            room.add_file()
            yield _Member(member.name, content)
        if stream.last_read != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends too early")
        while stream.read(CHUNK_BYTES):  # to the end, where the checksums are
            pass


def _zip_members(file: IO[bytes], room: _Room) -> Iterator[_Member]:
    with open_zip(file, MAX_DATA_ARCHIVE_INDEX_BYTES) as archive:
        infos = archive.infolist()
        for info, name in zip(infos, zip_names(infos), strict=True):
            if name.endswith("/"):  # after backslashes are replaced, which is_dir() does not see
                continue
            if info.flag_bits & 1:
                raise DataError(f"{info.filename!r} in the archive is encrypted; {UNPACK}")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"the archive holds a link, {info.filename!r}; {UNPACK}")
            room.add_file()
            with archive.open(info) as content:
                yield _Member(name, content)


def _safe_path(archive: Path, folder: Path, name: str) -> Path | None:
    """The path to which a member is written; None if it is hidden.

    Raises:
        DataError: the path would be outside the folder.
    """
    name = name.replace("\\", "/") if IS_WINDOWS else name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    is_inside = not name.startswith("/") and DRIVE.match(name) is None
    if not is_inside or not parts or not all(map(is_file_name, parts)):
        raise DataError(f"{archive} holds a file that would be written elsewhere, {name[:100]!r}")
    return None if any(part.startswith(HIDDEN) for part in parts) else folder.joinpath(*parts)


def _write(archive: Path, path: Path, content: IO[bytes], room: _Room, time: int) -> None:
    """Write one file.

    Raises:
        DataError: a file of that name exists.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{archive} has two files called {path.name!r}; {UNPACK}") from error
    with target:
        while chunk := content.read(CHUNK_BYTES):
            room.add_bytes(len(chunk))
            target.write(chunk)
    os.utime(path, ns=(time, time))
