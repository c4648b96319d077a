"""Read untrusted archives in memory: tar from start to end, zip by its index."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from alexnet.errors import DataError
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_ARCHIVE_BYTES, MAX_ARCHIVE_MEMBERS, MAX_TEXT_BYTES
from alexnet.io.text import error_text

CHUNK_BYTES = 1 << 20
DECOMPRESSORS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
"""Functions that decompress a file, by its first two bytes."""


def archive_files(
    archive: Path, wanted: re.Pattern[str], max_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Read the regular files of a tar archive (any compression) whose name matches `wanted`.

    Links, devices and all other names are skipped, and nothing is written: the caller makes its own
    file names, so that no name in the archive can lead outside the caller's folder.

    Args:
        archive: the file.
        wanted: pattern that must match the whole name of a member.
        max_bytes: largest size of a wanted file.

    Yields:
        Each member and its content.

    Raises:
        DataError: the archive is damaged, or larger than the limits of `limits.py`.
    """
    try:
        with open_regular(archive) as file:
            stream = decompressed_tar(file, max(max_bytes, CHUNK_BYTES), MAX_ARCHIVE_BYTES)
            yield from _read_wanted(stream, wanted, max_bytes)
    except Exception as error:  # tarfile and the decompressors raise a dozen kinds for damage
        raise DataError(f"{archive} is damaged ({error_text(error)}); fetch it again") from error


def _read_wanted(
    stream: ForwardReader, wanted: re.Pattern[str], max_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
        for count, member in enumerate(tar):
            if count >= MAX_ARCHIVE_MEMBERS:
                raise tarfile.ReadError(f"it has more than {MAX_ARCHIVE_MEMBERS:,} files")
            if member.isreg() and wanted.fullmatch(member.name):
                yield member, _content(tar, member, max_bytes)
        rest = stream.read(CHUNK_BYTES)  # reading to the end verifies the checksums
        if len(rest) == CHUNK_BYTES:
            raise tarfile.ReadError("it continues after its last file")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int) -> bytes:
    """Read all bytes of one regular member."""
    file = tar.extractfile(member) if 0 <= member.size <= max_bytes else None
    content = file.read(max_bytes) if file else b""
    if file is None or len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} says it has {member.size} bytes")
    return content


def decompressed_tar(file: IO[bytes], max_read: int, max_bytes: int) -> ForwardReader:
    """A stream of a tar archive without its compression, which can be read once.

    Args:
        file: the archive, positioned at its start.
        max_read: most bytes of a single read.
        max_bytes: most bytes in all.
    """
    decompress = DECOMPRESSORS.get(file.read(2))
    file.seek(0)
    return ForwardReader(decompress(file) if decompress else file, max_read, max_bytes)


class ForwardReader:
    """A stream that is read once from start to end, with a limit on each read.

    The header of an archive can claim a name of many gigabytes, which tarfile would read at once,
    or make tarfile seek back to the start again and again.
    """

    last_read = b""
    """Bytes of the last read; a tar archive that was not cut off ends with zeros."""

    def __init__(self, stream: IO[bytes], max_read: int, max_bytes: int) -> None:
        self._stream, self._position = stream, 0
        self._max_read, self._max_bytes = max_read, max_bytes

    def tell(self) -> int:
        """The position, counted from the start."""
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        """Skip to a position counted from the start."""
        if whence or position < self._position:
            raise tarfile.ReadError("its header points back to an earlier position")
        while self._position < position and self.read(min(CHUNK_BYTES, position - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; tarfile.ReadError if `size` exceeds the limits."""
        if not 0 <= size <= self._max_read or self._position + size > self._max_bytes:
            raise tarfile.ReadError(f"a read of {size:,} bytes exceeds the limits")
        content = self._stream.read(size)
        self._position += len(content)
        self.last_read = content
        return content


class SkippingReader(ForwardReader):
    """A `ForwardReader` of a seekable file, which does not read what it skips."""

    def seek(self, position: int, whence: int = 0) -> int:
        """Skip to a position counted from the start."""
        if whence or position < self._position:
            raise tarfile.ReadError("its header points back to an earlier position")
        if position > self._position:
            self._position = self._stream.seek(position)
        return self._position


def open_zip(file: IO[bytes], max_index_bytes: int = MAX_TEXT_BYTES) -> zipfile.ZipFile:
    """Open a zip archive whose index is not too large.

    Raises:
        ValueError: the index is too large.
        zipfile.BadZipFile: it is no zip archive.
    """
    file.seek(max(0, file.seek(0, 2) - (1 << 16) - 200))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    index_bytes = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if tail[max(0, end - 20) :].startswith(b"PK\6\7"):  # zipfile uses the 64-bit form then
        index_bytes = int.from_bytes(tail[end - 36 : end - 28], "little")
    if index_bytes > max_index_bytes:
        raise ValueError(f"its index has {index_bytes:,} bytes")
    return zipfile.ZipFile(file)
