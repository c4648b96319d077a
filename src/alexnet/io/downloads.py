"""What comes from elsewhere: checked downloads, and folders that appear whole.

Nothing is ever half there: a file or folder is written under a hidden name beside its place and
renamed when it is complete, so a run killed at any moment leaves no trap for the next one; of a
download it leaves a part, with which the next one goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import secrets
import shutil
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from alexnet.errors import DataError, MissingDataError
from alexnet.io.files import fsync
from alexnet.io.http import Part, fetch
from alexnet.io.limits import MAX_DOWNLOAD_BYTES

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checksum:
    """What is known of a file's content."""

    algorithm: str
    digits: str
    """The digest in hex, or its beginning."""


def download(
    url: str,
    target: Path,
    *,
    md5: str = "",
    sha256_prefix: str = "",
    size_bytes: int | None = None,
) -> Path:
    """Fetch `url` into the file `target`, given back; it appears only when its checksum is right.

    Args:
        url: An https address (plain http is for 127.0.0.1 alone), also after redirects.
        target: The file to make; its folder is made too.
        md5: Hex digest of the whole file, where its home publishes one.
        sha256_prefix: Else the first hex digits of its sha256, all that some homes publish.
        size_bytes: Its exact size, where known; a longer answer is cut off there.

    Raises:
        MissingDataError: it cannot be fetched or is not what it should be, or `$ALEXNET_OFFLINE`
            is set; the message says what to fetch and where to put it.
        ValueError: there is no checksum to hold it against.
    """
    if not md5 and not sha256_prefix:
        raise ValueError(f"{url} needs a checksum")
    checksum = Checksum("md5", md5) if md5 else Checksum("sha256", sha256_prefix)
    if os.environ.get("ALEXNET_OFFLINE", "0") not in ("", "0"):
        raise _not_fetched(url, target, "$ALEXNET_OFFLINE is set")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _part_of(target) as part:
            if not target.exists():  # else another process was first
                _fetch_checked(url, part, checksum, size_bytes)
                part.path.replace(target)
                part.clear()
                fsync(target.parent)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _not_fetched(url, target, _reason(error)) from error
    return target


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[Part]:
    """The part of a file, for this process alone; where another one has it, a part of our own."""
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except (Timeout, NotImplementedError):
        part = Part(_aside(target))
        try:
            yield part
        finally:
            part.clear()
        return
    try:
        yield Part(_kept(target))
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _kept(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _fetch_checked(url: str, part: Part, checksum: Checksum, size_bytes: int | None) -> None:
    """Fetch the whole file; one that was put together of two tries and is wrong is fetched anew."""
    was_begun = part.size_bytes > 0
    if was_begun and _digest(part.path, checksum.algorithm).startswith(checksum.digits):
        return  # only the renaming was left
    largest_bytes = MAX_DOWNLOAD_BYTES if size_bytes is None else size_bytes
    fetch(url, part, largest_bytes, size_bytes)
    digest = _digest(part.path, checksum.algorithm)
    if digest.startswith(checksum.digits):
        return
    part.clear()
    if not was_begun:
        raise ValueError(f"its {checksum.algorithm} is {digest} and not {checksum.digits}")
    _fetch_checked(url, part, checksum, size_bytes)


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to fill, which becomes `target` when the block ends without an error.

    When another process made `target` in the meantime, theirs stays and ours is dropped.

    Raises:
        DataError: the folder or a file in it cannot be written.
    """
    aside = _aside(target)
    try:
        aside.mkdir(parents=True)
        yield aside
        if not target.exists():
            aside.rename(target)
    except OSError as error:
        if not target.exists():
            way_out = "make room, or let $ALEXNET_CACHE name another folder"
            raise DataError(f"{target} cannot be written ({_reason(error)}); {way_out}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _aside(target: Path) -> Path:
    """Make up a hidden name beside `target` that nobody else uses."""
    return target.with_name(f".{target.name}-{secrets.token_hex(4)}")


def _reason(error: BaseException) -> str:
    """Tell what went wrong, without the class names and brackets of urllib."""
    cause = error.reason if type(error) is urllib.error.URLError else error
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())


def _not_fetched(url: str, target: Path, reason: str) -> MissingDataError:
    """Make the error for a file that is not here and could not be fetched."""
    place = f"put it into {target.parent} or a folder given by --data-root"
    come_bytes = Part(_kept(target)).size_bytes
    kept = f"; {come_bytes:,} bytes are kept, and the next try goes on there" if come_bytes else ""
    return MissingDataError(
        f"{target.name} is not here and could not be downloaded ({reason}){kept}; "
        f"fetch {url} and {place}"
    )
