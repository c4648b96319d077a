"""What comes from elsewhere: checked downloads, and folders that appear whole.

Nothing is ever half there: a file or folder is written under a hidden name beside its place and
renamed when it is complete, so a run killed at any moment leaves no trap for the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import secrets
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from alexnet.errors import DataError, MissingDataError

TIMEOUT_SECONDS = 10.0
CHUNK_BYTES = 1 << 20
LARGEST_DOWNLOAD_BYTES = 4 << 30


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
    aside = _aside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, aside, checksum, size_bytes)
        aside.replace(target)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _not_fetched(url, target, _reason(error)) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    return target


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
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


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that `download` would take itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Make the next request; ValueError where it would leave https."""
        try:
            _check_address(newurl)
        except ValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    """Refuse everything but https, and http to this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise ValueError(f"{url} is not an https address")


def _fetch(url: str, aside: Path, checksum: Checksum, size_bytes: int | None) -> None:
    """Write what `url` answers into `aside`, and raise ValueError unless it is the right file."""
    _check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": "alexnet"})
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer, aside.open("wb") as file:
            limit_bytes = LARGEST_DOWNLOAD_BYTES if size_bytes is None else size_bytes
            digest = _copy(answer, file, limit_bytes, checksum.algorithm)
            size = file.tell()
            os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        error.close()
        raise
    if size_bytes is not None and size != size_bytes:
        raise ValueError(f"it ended after {size} of {size_bytes} bytes")
    if not digest.startswith(checksum.digits):
        raise ValueError(f"its {checksum.algorithm} is {digest} and not {checksum.digits}")


def _copy(answer: IO[bytes], file: IO[bytes], limit_bytes: int, algorithm: str) -> str:
    """Copy at most `limit_bytes` and give their digest; ValueError when there is more."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    left = limit_bytes
    while chunk := answer.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"it is longer than {limit_bytes} bytes")
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    return digest.hexdigest()


def _aside(target: Path) -> Path:
    """Make up a hidden name beside `target` that nobody else uses."""
    return target.with_name(f".{target.name}-{secrets.token_hex(4)}")


def _reason(error: BaseException) -> str:
    """Tell what went wrong, without the class names and brackets of urllib."""
    cause = error.reason if type(error) is urllib.error.URLError else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _not_fetched(url: str, target: Path, reason: str) -> MissingDataError:
    """Make the error for a file that is not here and could not be fetched."""
    place = f"put it into {target.parent} or a folder given by --data-root"
    return MissingDataError(
        f"{target.name} is not here and could not be downloaded ({reason}); fetch {url} and {place}"
    )
