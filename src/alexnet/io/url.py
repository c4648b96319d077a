"""Read a small file at an https URL into memory."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request

from alexnet.errors import DataError
from alexnet.io.http import CheckedRedirects, is_offline
from alexnet.io.text import error_text

SCHEMES = ("https",)
"""Schemes of the URLs that are read. With https the server has to prove its name, so that no
server inside a private network answers by accident."""
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(?i:data:)")
CHUNK_BYTES = 1 << 16


def read_url(url: str, max_bytes: int, max_seconds: float) -> bytes:
    """The content at an https URL, also after redirects to https URLs.

    Args:
        url: the URL.
        max_bytes: size above which the content is an error.
        max_seconds: longest wait for the server, and longest time for the whole content.

    Raises:
        DataError: the URL is not https, `$ALEXNET_OFFLINE` is set, there is no connection, the
            server answers with an error, or the content is too large, too slow or incomplete.
    """
    if is_offline():
        raise DataError("$ALEXNET_OFFLINE is set, so it is not downloaded")
    opener = urllib.request.build_opener(CheckedRedirects(check_secure))
    headers = {"User-Agent": "alexnet", "Accept-Encoding": "identity"}
    try:
        check_secure(url)
        request = urllib.request.Request(url, headers=headers)
        with opener.open(request, timeout=max_seconds) as response:
            return _read(response, max_bytes, max_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"the server answers {error.code} ({error.reason})") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(f"it cannot be downloaded: {error_text(cause)}") from error


def is_address(text: str) -> bool:
    """Whether a text is a URL of any scheme, and not the path of a file or a drive."""
    return bool(ADDRESS.match(text)) and not os.path.exists(text)  # noqa: PTH110 - a long text


def is_secure(url: str) -> bool:
    """Whether a URL is an https URL."""
    return url.partition(":")[0].lower() in SCHEMES


def check_secure(url: str) -> None:
    """Check that a URL is https.

    Raises:
        ValueError: the URL is not https; the message names it.
    """
    if not is_secure(url):
        raise ValueError(f"{url} is not an https address")


def _read(response: http.client.HTTPResponse, max_bytes: int, max_seconds: float) -> bytes:
    """Read the whole content of a response.

    Raises:
        ValueError: the content is too large, too slow or incomplete.
    """
    content, ends_at = bytearray(), time.monotonic() + max_seconds
    while chunk := response.read1(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise ValueError(f"it is longer than {max_bytes:,} bytes")
        if time.monotonic() > ends_at:
            raise ValueError(f"it takes longer than {max_seconds:g} seconds")
    if response.length:
        raise ValueError(f"the connection broke after {len(content):,} bytes")
    return bytes(content)
