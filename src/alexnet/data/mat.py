"""MATLAB's .mat files, which the published splits of two data sets come in."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from alexnet.data.files import read_regular
from alexnet.errors import DataError

LARGEST_FILE_BYTES = 1 << 22
LARGEST_UNPACKED_BYTES = 1 << 25
HEADER_BYTES = 128
COMPRESSED = 15
"""The kind of an element that is packed."""


def read_mat(path: Path, **options: Any) -> dict[str, Any]:
    """The variables of a .mat file; `options` are those of `scipy.io.loadmat`.

    Raises:
        DataError: scipy is not installed, or the file cannot be read or unpacks to too much.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(f"reading {path} needs scipy: pip install alexnet[scipy]") from error
    try:
        content = read_regular(path, LARGEST_FILE_BYTES)
        _check_unpacked(content)
        variables: dict[str, Any] = loadmat(io.BytesIO(content), **options)
    except Exception as error:  # scipy has a dozen kinds for a damaged file
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise DataError(f"{path} cannot be read as a .mat file: {reason}") from error
    return variables


def _check_unpacked(content: bytes) -> None:
    """Refuse a file whose packed elements hold much more than a list of numbers does."""
    order = "big" if content[126:128] == b"MI" else "little"
    at, unpacked_bytes = HEADER_BYTES, 0
    while at + 8 <= len(content):
        kind, size = (int.from_bytes(content[i : i + 4], order) for i in (at, at + 4))  # type: ignore[arg-type]
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            unpacked_bytes += len(
                stream.decompress(content[at + 8 : at + 8 + size], LARGEST_UNPACKED_BYTES)
            )
        if unpacked_bytes >= LARGEST_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to more than {LARGEST_UNPACKED_BYTES:,} bytes")
        at += 8 + size
