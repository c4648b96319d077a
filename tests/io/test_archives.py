"""Tar archives: wanted files are read, and hostile archives are rejected."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.errors import DataError
from alexnet.io import archives as module
from alexnet.io.archives import archive_files
from support.slow import first_fast


def tar(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(path, f"w:{path.suffix[1:].removesuffix('tar')}") as archive:  # type: ignore[call-overload]
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("suffix", ["gz", "xz", "bz2", "tar"])
def test_an_archive_gives_wanted_regular_files_only(tmp_path: Path, suffix: str) -> None:
    path = tar(
        tmp_path / f"x.tar.{suffix}",
        ("jpg", tarfile.DIRTYPE, b""),
        ("jpg/1.jpg", tarfile.REGTYPE, b"one"),
        ("../jpg/1.jpg", tarfile.REGTYPE, b"no"),
        ("/jpg/1.jpg", tarfile.REGTYPE, b"no"),
        ("jpg/../1.jpg", tarfile.REGTYPE, b"no"),
        ("jpg/2.jpg", tarfile.SYMTYPE, b""),
        ("jpg/3.jpg", tarfile.LNKTYPE, b""),
        ("jpg/4.jpg", tarfile.FIFOTYPE, b""),
        ("jpg/5.jpg", tarfile.REGTYPE, b"five"),
    )
    found = archive_files(path, re.compile(r"jpg/[0-9]\.jpg"), 10)
    assert [(member.name, content) for member, content in found] == [
        ("jpg/1.jpg", b"one"),
        ("jpg/5.jpg", b"five"),
    ]


def test_an_archive_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar(tmp_path / "x.tar.gz", ("a", tarfile.REGTYPE, b"12345"), ("b", tarfile.REGTYPE, b""))
    with pytest.raises(DataError, match="a says it has 5 bytes"):
        list(archive_files(path, re.compile("a"), 4))
    monkeypatch.setattr(module, "MAX_ARCHIVE_BYTES", 4)
    with pytest.raises(DataError, match="exceeds the limits"):
        list(archive_files(path, re.compile("none"), 4))
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_ARCHIVE_MEMBERS", 1)
    with pytest.raises(DataError, match="more than 1 files"):
        list(archive_files(path, re.compile("none"), 4))


@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_a_damaged_archive(tmp_path: Path, suffix: str) -> None:
    noise = bytes(hashlib.sha256(bytes([i, j])).digest()[0] for i in range(99) for j in range(99))
    path = tar(tmp_path / f"x.tar.{suffix}", ("a", tarfile.REGTYPE, noise))
    whole = path.read_bytes()
    for damaged in (whole[:5000], whole[:4000] + bytes(1000) + whole[5000:], b"no archive", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            list(archive_files(path, re.compile("a"), 10_000))


def test_an_archive_that_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar(tmp_path / "x.tar.gz", ("a", tarfile.REGTYPE, b"12345"))
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(20_000)))
    monkeypatch.setattr(module, "CHUNK_BYTES", 20_000)
    with pytest.raises(DataError, match="continues after its last file"):
        list(archive_files(path, re.compile("a"), 10))


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A member's header that claims a size, below 0 too."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, max(size, 0)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if size < 0:  # the other way to write a number, with a sign
        block[124:136] = (size % (1 << 96)).to_bytes(12, "big")
        block[124] = 0xFF
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block[:512]):06o}\0 ".encode()
    return bytes(block[:512])


def rejection(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(archive_files(path, re.compile("a"), 1000))
    return str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
@pytest.mark.parametrize("pack", first_fast([gzip.compress, bz2.compress, lzma.compress]))
def test_a_name_of_gigabytes_is_not_read(
    tmp_path: Path, kind: bytes, pack: Callable[[bytes], bytes]
) -> None:
    """A small file whose content claims a name of 20 MB."""
    content = pack(header("long", 20 << 20, kind) + bytes(20 << 20))
    assert len(content) < 100_000
    tracemalloc.start()
    message = rejection(tmp_path / "bomb.tgz", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "exceeds the limits" in message
    assert peak < 10 << 20


def test_an_archive_that_leads_back_is_rejected(tmp_path: Path) -> None:
    content = header("a", 3) + b"abc".ljust(512, b"\0") + header("b", -512)
    message = rejection(tmp_path / "back.tar", content + bytes(1024))
    assert "is damaged" in message


def test_names_of_names_of_names_are_rejected(tmp_path: Path) -> None:
    content = b"".join(
        header("x", 1, tarfile.GNUTYPE_LONGNAME) + b"y".ljust(512) for _ in range(3000)
    )
    assert "is damaged" in rejection(tmp_path / "deep.tar", content)


def test_what_is_no_file_is_rejection(tmp_path: Path) -> None:

    os.mkfifo(tmp_path / "pipe.tgz")
    with pytest.raises(DataError, match="not a regular file"):
        list(archive_files(tmp_path / "pipe.tgz", re.compile("a"), 10))
    with pytest.raises(DataError, match="a folder, not a file"):
        list(archive_files(tmp_path, re.compile("a"), 10))
