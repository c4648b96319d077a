"""The samples of one tar shard: files that share a key, as WebDataset groups them.

`rose/0001.jpg` and `rose/0001.cls` are one sample. The key of a file is its name up to the first
dot after the last slash; what follows is its kind.
"""

from __future__ import annotations

import json
import re
import tarfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, cast

from alexnet.data.data_files import DataFile
from alexnet.data.datasets.image_lists.columns import best_label_name
from alexnet.data.images.formats import SUFFIXES
from alexnet.errors import DataError
from alexnet.io.archives import CHUNK_BYTES, SkippingReader
from alexnet.io.limits import MAX_DATA_ARCHIVE_FILES, MAX_SHARD_BYTES, MAX_SHARD_LABEL_BYTES
from alexnet.io.text import error_text

MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""Key and kind of a file."""
IMAGE_KINDS = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
"""Kinds of image files; the first of them that a sample has is its image."""
LABEL_KINDS = ("cls", "cls.txt", "json")
"""Kinds of label files; the first of them that a sample has is its label."""
COMPRESSED = (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5")
"""The first two bytes of gzip, bzip2, xz and zstd."""


@dataclass(slots=True)
class Sample:
    """An image in a shard, and its label."""

    key: str
    kind: str = ""
    """The ending of the image's name, "jpg"; "" without an image."""
    start: int = 0
    """Offset of the image in the shard, in bytes."""
    size: int = 0
    label: str = ""
    """The label in words or digits; "" without one."""
    label_kind: str = ""
    """The ending of the name of the label's file."""


def read_samples(file: DataFile, max_files: int | None = None) -> list[Sample]:
    """The samples of a shard in the order of their first files; only headers and labels are read.

    Args:
        file: the shard.
        max_files: number of files to look at; None: all.

    Raises:
        DataError: it is compressed, damaged, cut short, or holds links or devices; two files have
            the same name, or a label cannot be read.
    """
    samples: dict[str, Sample] = {}
    try:
        with file.open() as stream:
            _reject_compressed(file, stream.read(2))
            stream.seek(0)
            for member, content in islice(_members(file, stream), max_files):
                _add(file, samples, member, content)
    except DataError:
        raise
    except Exception as error:  # tarfile raises a dozen kinds for damage
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{file} cannot be read: {error_text(error)}") from error
        raise DataError(f"{file} is damaged or not complete ({error_text(error)})") from error
    return list(samples.values())


def _reject_compressed(file: DataFile, head: bytes) -> None:
    if head in COMPRESSED:
        raise DataError(
            f"{file} is compressed, so its images cannot be read in place; decompress it "
            "(images are compressed already)"
        )


def _members(file: DataFile, stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Each regular file, and its content if it is a label."""
    reader, num_files = SkippingReader(stream, CHUNK_BYTES, MAX_SHARD_BYTES), 0
    with tarfile.open(fileobj=cast(IO[bytes], reader), mode="r:") as tar:
        while (member := tar.next()) is not None:
            num_files += 1
            if num_files > MAX_DATA_ARCHIVE_FILES:
                raise DataError(f"{file} has more than {MAX_DATA_ARCHIVE_FILES:,} files")
            tar.members.clear()  # type: ignore[attr-defined]  # a million would take a gigabyte
            _check_member(file, member)
            if member.isreg():
                yield member, _label_content(file, tar, member)
    if reader.last_read != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends too early")


def _check_member(file: DataFile, member: tarfile.TarInfo) -> None:
    if member.size < 0:
        raise tarfile.ReadError("a file has a negative size")
    if member.isdir() or (member.isreg() and not member.issparse()):
        return
    is_link = member.issym() or member.islnk()
    kind = "a link" if is_link else "a sparse file" if member.isreg() else "a device"
    raise DataError(f"{file} holds {kind}, {member.name[:100]!r}; a shard holds plain files alone")


def _label_content(file: DataFile, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = MEMBER.fullmatch(member.name)
    if not found or found[2].lower() not in LABEL_KINDS:
        return b""
    if member.size > MAX_SHARD_LABEL_BYTES:
        raise DataError(
            f"{file}: {member.name[:100]!r} has {member.size:,} bytes, too many for a label"
        )
    content = tar.extractfile(member)
    return content.read() if content else b""


def _add(
    file: DataFile, samples: dict[str, Sample], member: tarfile.TarInfo, content: bytes
) -> None:
    """Add a file to its sample, as its image or its label."""
    found = MEMBER.fullmatch(member.name.removeprefix("./"))
    if not found or "__MACOSX" in member.name:
        return
    key, kind = found[1], found[2].lower()
    sample = samples.setdefault(key, Sample(key))
    if kind in (sample.kind, sample.label_kind):
        raise DataError(f"{file} has two files called {member.name[:100]!r}")
    if kind in IMAGE_KINDS and _is_better(kind, sample.kind, IMAGE_KINDS):
        sample.kind, sample.start, sample.size = kind, member.offset_data, member.size
    elif kind in LABEL_KINDS and _is_better(kind, sample.label_kind, LABEL_KINDS):
        label = _label(file, member.name, content)
        if label:
            sample.label, sample.label_kind = label, kind


def _is_better(kind: str, other: str, order: tuple[str, ...]) -> bool:
    return not other or order.index(kind) < order.index(other)


def _label(file: DataFile, name: str, content: bytes) -> str:
    """The label in the content of a label file; "" if it has none."""
    try:
        text = content.decode("utf-8-sig").strip()
        value = json.loads(text) if name.lower().endswith(".json") else text
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: {name[:100]!r} cannot be read: {error_text(error)}") from error
    if isinstance(value, dict):
        value = value.get(best_label_name(value) or "")
    return unicodedata.normalize("NFC", _label_text(file, name, value))


def _label_text(file: DataFile, name: str, value: Any) -> str:
    if value is None or value in ("", -1, "-1"):
        return ""
    if isinstance(value, str) and "\n" not in value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataError(
        f"{file}: the label in {name[:100]!r} is neither a number nor the name of one class"
    )
