"""Download one file over HTTPS, resuming where an earlier try ended.

The bytes received are kept in a partial file, and the next try asks for the rest (RFC 9110,
section 14: Range and If-Range). A server that cannot send a range, or whose file has changed, sends
the whole file, and the partial file starts anew. The result is verified by its checksum in
`downloads.py`.
"""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from alexnet.io.files import rename
from alexnet.reporter import ProgressCallback, ignore_progress


class DroppedError(OSError):
    """The connection broke during the transfer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """Timeouts, number of tries and pause of a download."""

    timeout_seconds: float = 10.0
    """Time without a byte after which a try ends."""
    stall_seconds: float = 60.0
    """Time after which the mean speed must be at least `min_bytes_per_second`."""
    min_bytes_per_second: float = 1000.0
    max_tries: int = 20
    pause_seconds: float = 0.5
    """Time between two tries."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download."""

    url: str
    max_bytes: int
    """Size above which the file is an error."""
    size_bytes: int | None = None
    """Exact size, if it is known."""
    token: str = ""
    """Access token that is sent to this URL, but not to those it redirects to; "" for none."""


@dataclass(frozen=True, slots=True)
class PartialFile:
    """The part of a file that has been received, and beside it a file that names its source."""

    path: Path

    @property
    def source_info(self) -> Path:
        """Path of a file with the URL and the server's validator (ETag or Last-Modified)."""
        return self.path.with_name(f"{self.path.name}.from")

    @property
    def size_bytes(self) -> int:
        """Bytes received; 0 where there is no file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def start(self, url: str, validator: str) -> None:
        """Empty the file and record its new source."""
        self.clear()
        self.path.write_bytes(b"")
        self.source_info.write_text(f"{url}\n{validator}\n", encoding="utf-8")

    def validator(self, url: str) -> str:
        """The validator of the bytes received, or ""; a partial file of another URL is removed."""
        try:
            lines = self.source_info.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        if lines[:1] != [url]:
            self.clear()
        return lines[1] if len(lines) > 1 else ""

    def move_to(self, target: Path) -> None:
        """Rename the complete file to `target`."""
        rename(self.path, target)
        self.clear()

    def clear(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.source_info.unlink(missing_ok=True)


def fetch(
    remote: RemoteFile,
    part: PartialFile,
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> None:
    """Complete a partial file; try again as long as each try receives something.

    `on_progress` is called with the bytes received and those in all, if the server gives them.

    Raises:
        ValueError: the URL is not https, or the response is not the file; the part is cleared.
        OSError: there is no connection, or it breaks again and again; the part is kept.
        http.client.HTTPException: the server does not speak HTTP.
    """
    policy = policy or RetryPolicy()
    for tries_left in reversed(range(policy.max_tries)):
        before = part.size_bytes
        try:
            return _fetch_rest(remote, part, policy, on_progress)
        except (DroppedError, TimeoutError, ConnectionError, http.client.IncompleteRead):
            if not tries_left or part.size_bytes <= before:
                raise
        except ValueError:
            part.clear()
            raise
        time.sleep(policy.pause_seconds)
    return None


def _fetch_rest(
    remote: RemoteFile, part: PartialFile, policy: RetryPolicy, on_progress: ProgressCallback
) -> None:
    """Ask for the bytes that the part lacks, and append them."""
    check_address(remote.url)
    validator, start = part.validator(remote.url), part.size_bytes
    headers = {"User-Agent": "alexnet", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})
    opener = urllib.request.build_opener(CheckedRedirects(check_address))
    request = urllib.request.Request(remote.url, headers=headers)
    if remote.token:
        request.add_unredirected_header("Authorization", f"Bearer {remote.token}")
    try:
        with opener.open(request, timeout=policy.timeout_seconds) as response:
            _receive(response, remote, part, policy, on_progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        is_complete = error.headers.get("Content-Range") == f"bytes */{start}"
        if not is_complete and remote.size_bytes != start:
            part.clear()
            _fetch_rest(remote, part, policy, on_progress)


def _receive(
    response: http.client.HTTPResponse,
    remote: RemoteFile,
    part: PartialFile,
    policy: RetryPolicy,
    on_progress: ProgressCallback,
) -> None:
    """Append a response's range to the part, or restart the part with a whole file."""
    if response.status == http.client.PARTIAL_CONTENT:
        content_range = response.headers.get("Content-Range", "")
        if not re.match(rf"bytes {part.size_bytes}-\d+/", content_range):
            raise ValueError(
                f"the server sends the bytes {content_range!r}, which were not requested"
            )
    elif response.status == http.client.OK:
        part.start(remote.url, _validator(response))
    else:
        raise ValueError(f"the server answers with status {response.status}")
    expected = _content_length(response)
    total = part.size_bytes + (expected or 0)
    _check_length(total, remote)
    with part.path.open("ab") as file:
        received = _copy(response, file, remote, policy, lambda done: on_progress(done, total))
        file.flush()
        os.fsync(file.fileno())
    if expected is not None and received < expected:
        raise DroppedError(f"the connection broke after {part.size_bytes} bytes")
    if remote.size_bytes is not None and part.size_bytes < remote.size_bytes:
        ended = f"it ended after {part.size_bytes} of {remote.size_bytes} bytes"
        raise DroppedError(ended) if expected is None else ValueError(ended)


def _check_length(num_bytes: int, remote: RemoteFile) -> None:
    if num_bytes > remote.max_bytes:
        raise ValueError(f"it is longer than {remote.max_bytes} bytes")


def _validator(response: http.client.HTTPResponse) -> str:
    """The validator for If-Range: the strong ETag, else Last-Modified; "" if there is neither."""
    tag = response.headers.get("ETag", "")
    is_strong = tag and not tag.startswith("W/")
    validator = tag if is_strong else response.headers.get("Last-Modified", "")
    return validator if validator.isprintable() and validator.isascii() else ""


def _content_length(response: http.client.HTTPResponse) -> int | None:
    """The response's Content-Length; None if it has none that can be used."""
    length = response.headers.get("Content-Length", "")
    is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return int(length) if length.isdecimal() and len(length) < 16 and not is_chunked else None


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    remote: RemoteFile,
    policy: RetryPolicy,
    on_bytes: Callable[[int], None],
) -> int:
    """Append all bytes of a response to a file; returns their number.

    Raises:
        ValueError: the file is too large.
        TimeoutError: the transfer is too slow.
    """
    started_at, start, received = time.monotonic(), file.seek(0, os.SEEK_END), 0
    while chunk := response.read1(1 << 18):
        received += len(chunk)
        _check_length(start + received, remote)
        file.write(chunk)
        on_bytes(start + received)
        seconds = time.monotonic() - started_at
        if seconds > policy.stall_seconds and received / seconds < policy.min_bytes_per_second:
            raise TimeoutError(f"only {received} bytes were received in {seconds:.0f} seconds")
    return received


class CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows redirects only to URLs for which `check` does not raise ValueError."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Make the request that follows a redirect.

        Raises:
            ValueError: `check` rejects the URL.
        """
        try:
            self._check(newurl)
        except ValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_offline() -> bool:
    """Whether `$ALEXNET_OFFLINE` forbids downloads."""
    return os.environ.get("ALEXNET_OFFLINE", "0") not in ("", "0")


def check_address(url: str) -> None:
    """Check that a URL is https, or http to this machine (127.0.0.1).

    Raises:
        ValueError: the URL is another; the message names it.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise ValueError(f"{url} is not an https address")
