"""Verified downloads, and folders that appear only when they are complete.

A file or folder is written under a hidden name beside its target and renamed when it is complete,
so that a killed run leaves nothing that looks complete. A killed download leaves a partial file,
which the next run resumes.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import secrets
import shutil
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import DataError, MissingDataError
from alexnet.io.files import remove_file, rename
from alexnet.io.http import PartialFile, RemoteFile, RetryPolicy, fetch, is_offline
from alexnet.io.limits import MAX_DOWNLOAD_BYTES
from alexnet.io.locks import waiting_lock
from alexnet.io.text import error_text
from alexnet.reporter import ProgressCallback, ignore_progress


@dataclass(frozen=True, slots=True)
class Checksum:
    """The published digest of a file, or its beginning."""

    algorithm: str
    digits: str
    """The digest, or its first digits, in hex."""

    def _new(self) -> hashlib._Hash:
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def digest(self, path: Path) -> str:
        """The digest of a file in hex, by this algorithm."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self._new).hexdigest()

    def matches(self, path: Path) -> bool:
        """Whether a file has this checksum."""
        return self.digest(path).startswith(self.digits)


def download(
    url: str,
    target: Path,
    *,
    md5: str = "",
    sha256_prefix: str = "",
    size_bytes: int | None = None,
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """Download `url` to `target`, which appears only when its checksum is right; returns `target`.

    Args:
        url: an https address (plain http is accepted for 127.0.0.1), also after redirects.
        target: the file to make; its folder is made too.
        md5: hex MD5 digest of the file, if that is published.
        sha256_prefix: otherwise the first hex digits of the file's SHA-256.
        size_bytes: the file's exact size, if it is known.
        policy: timeouts and number of tries.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        MissingDataError: the file cannot be downloaded, or `$ALEXNET_OFFLINE` is set; the message
            says what to download and where to put it.
        ValueError: neither checksum is given.
    """
    checksum = Checksum("md5", md5) if md5 else Checksum("sha256", sha256_prefix)
    if not checksum.digits:
        raise ValueError(f"{url} needs a checksum")
    remote = RemoteFile(url, size_bytes or MAX_DOWNLOAD_BYTES, size_bytes)
    return _download(remote, target, checksum, policy, on_progress)


def download_unverified(
    url: str,
    target: Path,
    *,
    token: str = "",
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """`download` for a file whose checksum is not published; only its length is checked.

    Args:
        url: as for `download`.
        target: the file to make.
        token: access token, sent to the server of `url` alone; "" for none.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        MissingDataError: the file cannot be downloaded, or `$ALEXNET_OFFLINE` is set.
    """
    remote = RemoteFile(url, MAX_DOWNLOAD_BYTES, token=token)
    return _download(remote, target, None, None, on_progress)


def _download(
    remote: RemoteFile,
    target: Path,
    checksum: Checksum | None,
    policy: RetryPolicy | None,
    on_progress: ProgressCallback,
) -> Path:
    part = PartialFile(target.with_name(f".{target.name}.part"))
    if is_offline():
        raise _missing(remote.url, target, part, "$ALEXNET_OFFLINE is set")
    try:
        with _writable(part, target) as own:
            if not target.exists():  # else another process was first
                _fetch_checked(remote, own, checksum, policy, on_progress)
                own.move_to(target)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _missing(remote.url, target, part, _reason(error)) from error
    return target


@contextlib.contextmanager
def _writable(part: PartialFile, target: Path) -> Iterator[PartialFile]:
    """Give the partial file once no other process downloads it; without file locks, a new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(target.with_name(f".{target.name}.lock"), lambda: None) as lock:
        own = part
        if not lock.is_locked:
            own = PartialFile(target.with_name(f".{target.name}-{secrets.token_hex(4)}"))
        try:
            yield own
        finally:
            if own is not part:
                own.clear()
        # Only after a success: a process that waits for the removed lock must find the target.
        remove_file(Path(lock.lock_file))


def _fetch_checked(
    remote: RemoteFile,
    part: PartialFile,
    checksum: Checksum | None,
    policy: RetryPolicy | None,
    on_progress: ProgressCallback,
) -> None:
    """Fetch a whole file; if it was resumed and its checksum is wrong, once more from the start.

    Raises:
        ValueError: the checksum is wrong.
    """
    if not checksum:
        if not part.validator(remote.url):
            part.clear()  # nothing could tell whether the rest belongs to it
        fetch(remote, part, policy, on_progress)
        return
    was_resumed = part.size_bytes > 0
    if was_resumed and checksum.matches(part.path):
        return  # the run was killed before the file was renamed
    fetch(remote, part, policy, on_progress)
    if checksum.matches(part.path):
        return
    digest = checksum.digest(part.path)
    part.clear()
    if not was_resumed:
        raise ValueError(f"its {checksum.algorithm} is {digest} and not {checksum.digits}")
    _fetch_checked(remote, part, checksum, policy, on_progress)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to fill, which is renamed to `target` if the block ends without an error.

    If another process has made `target` in the meantime, that one is kept and this one is removed.

    Raises:
        DataError: the folder or a file in it cannot be written.
    """
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if not target.exists():
            rename(temporary, target)
    except OSError as error:
        if not target.exists():
            raise DataError(
                f"{target} cannot be written ({_reason(error)}); "
                "free some space, or let $ALEXNET_CACHE name another folder"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _reason(error: BaseException) -> str:
    """The reason of an error, without the class names and brackets of urllib."""
    cause = error.reason if type(error) is urllib.error.URLError else error
    return error_text(cause)


def _missing(url: str, target: Path, part: PartialFile, reason: str) -> MissingDataError:
    """The error for a file that is missing and could not be downloaded."""
    size_bytes = part.size_bytes
    kept = f"; {size_bytes:,} bytes are kept, and the next try resumes there" if size_bytes else ""
    return MissingDataError(
        f"{target.name} is not here and could not be downloaded ({reason}){kept}; "
        f"fetch {url} and put it into {target.parent} or a folder given by --data-root"
    )
