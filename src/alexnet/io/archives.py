"""Archives of others, read without writing anything: tar from front to back, zip by its list."""

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

CHUNK_BYTES = 1 << 20
UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
"""By the first bytes of the file."""


def archive_files(
    archive: Path, wanted: re.Pattern[str], largest_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Read the regular files of a tar archive (any compression) whose name matches `wanted`.

    Links, devices and every other name are passed over, and nothing is written: the caller makes
    its own file names, so no name in the archive can reach outside the caller's folder.

    Args:
        archive: The file.
        wanted: What the name of a member has to match from end to end.
        largest_bytes: The most that one wanted file may hold.

    Raises:
        DataError: the archive is damaged, or holds more than an honest one would.
    """
    try:
        with open_regular(archive) as file:
            unpacked = _unpacked(file, max(largest_bytes, CHUNK_BYTES))
            with tarfile.open(fileobj=cast(IO[bytes], unpacked), mode="r:") as tar:
                for count, member in enumerate(tar):
                    if count >= MAX_ARCHIVE_MEMBERS:
                        raise DataError(f"{archive} holds more than it should; fetch it again")
                    if member.isreg() and wanted.fullmatch(member.name):
                        yield member, _content(tar, member, largest_bytes)
                if len(unpacked.read(CHUNK_BYTES)) == CHUNK_BYTES:  # and all sums are compared
                    raise DataError(f"{archive} goes on after its last file; fetch it again")
    except DataError:
        raise
    except Exception as error:  # tarfile and the unpackers raise a dozen kinds for damage
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{archive} is damaged ({reason}); fetch it again") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, largest_bytes: int) -> bytes:
    """Read all bytes of one regular member."""
    file = tar.extractfile(member) if 0 <= member.size <= largest_bytes else None
    content = file.read(largest_bytes) if file else b""
    if file is None or len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} says it has {member.size} bytes")
    return content


def _unpacked(file: IO[bytes], largest_read: int) -> _Forward:
    unpack = UNPACKERS.get(file.read(2))
    file.seek(0)
    return _Forward(unpack(file) if unpack else file, largest_read)


class _Forward:
    """A stream that is read once from front to back, and of which nobody may ask for too much.

    A header of an archive can claim a name of many gigabytes, which tarfile would read at once, or
    send it back to the beginning, again and again.
    """

    def __init__(self, stream: IO[bytes], largest_read: int) -> None:
        self._stream, self._largest_read, self._at = stream, largest_read, 0

    def tell(self) -> int:
        return self._at

    def seek(self, place: int, whence: int = 0) -> int:
        """Go on to a place from the beginning."""
        if whence or place < self._at:
            raise tarfile.ReadError("it leads back to where it has been")
        while self._at < place and self.read(min(CHUNK_BYTES, place - self._at)):
            pass
        return self._at

    def read(self, size: int) -> bytes:
        """Read as much as a file of the archive may hold."""
        if not 0 <= size <= self._largest_read or self._at + size > MAX_ARCHIVE_BYTES:
            raise tarfile.ReadError(f"it holds more than it should, {size:,} bytes at once")
        content = self._stream.read(size)
        self._at += len(content)
        return content


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip archive whose list of members is of honest size.

    Raises:
        ValueError: the list is too long.
        zipfile.BadZipFile: it is no zip archive.
    """
    file.seek(max(0, file.seek(0, 2) - (1 << 16) - 200))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    list_bytes = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if tail[max(0, end - 20) :].startswith(b"PK\6\7"):  # zipfile believes the longer form then
        list_bytes = int.from_bytes(tail[end - 36 : end - 28], "little")
    if list_bytes > MAX_TEXT_BYTES:
        raise ValueError(f"its list of members has {list_bytes:,} bytes")
    return zipfile.ZipFile(file)
