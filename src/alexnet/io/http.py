"""One file over HTTP, from where an earlier try ended.

What has come is kept in a part, and the next try asks for the rest (RFC 9110, section 14: Range and
If-Range). A server that cannot give a rest, or whose file is another by now, sends all of it, and
the part begins anew. Whether the whole is right is for its checksum to say.
"""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TIMEOUT_SECONDS = 10.0
"""Without a byte."""
STALL_SECONDS = 60.0
LOWEST_BYTES_PER_SECOND = 1000.0
"""A server that is slower than this after STALL_SECONDS is given up."""
CHUNK_BYTES = 1 << 18
MOST_TRIES = 20
PAUSE_SECONDS = 0.5
"""Between two tries."""
OTHER_RANGE = 416
"""HTTP's word for a range that the file does not have."""


class DroppedError(OSError):
    """The connection broke while the file was coming."""


@dataclass(frozen=True, slots=True)
class Part:
    """What has come of a file, and beside it which file that was."""

    path: Path

    @property
    def told(self) -> Path:
        """Two lines: the address, and the server's mark of the file's state (ETag or date)."""
        return self.path.with_name(f"{self.path.name}.from")

    @property
    def size_bytes(self) -> int:
        """How much has come; 0 where nothing has."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, url: str, mark: str) -> None:
        """Forget what has come, and note what comes now."""
        self.clear()
        self.path.write_bytes(b"")
        self.told.write_text(f"{url}\n{mark}\n", encoding="utf-8")

    def mark_of(self, url: str) -> str:
        """The mark of what has come, "" where there is none; clears what is of another address."""
        try:
            lines = self.told.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        if lines[:1] != [url]:
            self.clear()
        return lines[1] if len(lines) > 1 else ""

    def clear(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self.told.unlink(missing_ok=True)


def fetch(url: str, part: Part, largest_bytes: int, size_bytes: int | None) -> None:
    """Bring a part to its end, in as many tries as each bring something.

    Raises:
        ValueError: the address is not https, or what comes cannot be the file; the part is cleared.
        OSError: there is no connection, or it breaks time and again; the part is kept.
        http.client.HTTPException: what answers does not speak HTTP.
    """
    for tries_left in reversed(range(MOST_TRIES)):
        before = part.size_bytes
        try:
            return _fetch_rest(url, part, largest_bytes, size_bytes)
        except (DroppedError, TimeoutError, ConnectionError, http.client.IncompleteRead):
            if not tries_left or part.size_bytes <= before:
                raise
        except ValueError:
            part.clear()
            raise
        time.sleep(PAUSE_SECONDS)
    return None


def _fetch_rest(url: str, part: Part, largest_bytes: int, size_bytes: int | None) -> None:
    """Ask for what the part lacks, and add what comes."""
    check_address(url)
    mark, start = part.mark_of(url), part.size_bytes
    headers = {"User-Agent": "alexnet", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": mark} if mark else {})
    opener = urllib.request.build_opener(_SafeRedirects)
    request = urllib.request.Request(url, headers=headers)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            _add(answer, url, part, largest_bytes, size_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != OTHER_RANGE or not start:
            raise
        is_whole = error.headers.get("Content-Range") == f"bytes */{start}"
        if not is_whole and size_bytes != start:
            part.clear()
            _fetch_rest(url, part, largest_bytes, size_bytes)


def _add(
    answer: http.client.HTTPResponse,
    url: str,
    part: Part,
    largest_bytes: int,
    size_bytes: int | None,
) -> None:
    """Add an answer to the part; a whole file takes its place."""
    if answer.status == http.client.PARTIAL_CONTENT:
        told = answer.headers.get("Content-Range", "")
        if not re.match(rf"bytes {part.size_bytes}-\d+/", told):
            raise ValueError(f"it answers with the bytes {told!r}, not those that were asked for")
    elif answer.status == http.client.OK:
        part.begin(url, _mark(answer))
    else:
        raise ValueError(f"it answers {answer.status}")
    announced = _announced(answer)
    if announced is not None and part.size_bytes + announced > largest_bytes:
        raise ValueError(f"it is longer than {largest_bytes} bytes")
    with part.path.open("ab") as file:
        come = _copy(answer, file, largest_bytes)
        file.flush()
        os.fsync(file.fileno())
    if announced is not None and come < announced:
        raise DroppedError(f"the connection broke after {part.size_bytes} bytes")
    if size_bytes is not None and part.size_bytes < size_bytes:
        ended = f"it ended after {part.size_bytes} of {size_bytes} bytes"
        raise DroppedError(ended) if announced is None else ValueError(ended)


def _mark(answer: http.client.HTTPResponse) -> str:
    """What will tell whether the file is still the same: a strong ETag, else its date."""
    tag = answer.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    return mark if mark.isprintable() and mark.isascii() else ""


def _announced(answer: http.client.HTTPResponse) -> int | None:
    """How many bytes the answer says will come; None where it says nothing that can be."""
    length = answer.headers.get("Content-Length", "")
    is_chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    return int(length) if length.isdecimal() and len(length) < 16 and not is_chunked else None


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], largest_bytes: int) -> int:
    """Add all that comes to a file, and give how much that was.

    Raises:
        ValueError: the file gets too long.
        TimeoutError: it comes too slowly.
    """
    began, start, come = time.monotonic(), file.seek(0, os.SEEK_END), 0
    while chunk := answer.read1(CHUNK_BYTES):
        come += len(chunk)
        if start + come > largest_bytes:
            raise ValueError(f"it is longer than {largest_bytes} bytes")
        file.write(chunk)
        seconds = time.monotonic() - began
        if seconds > STALL_SECONDS and come / seconds < LOWEST_BYTES_PER_SECOND:
            raise TimeoutError(f"only {come} bytes came in {seconds:.0f} seconds")
    return come


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that `fetch` would take itself."""

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
            check_address(newurl)
        except ValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(url: str) -> None:
    """Refuse everything but https, and http to this machine.

    Raises:
        ValueError: names the address.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise ValueError(f"{url} is not an https address")
