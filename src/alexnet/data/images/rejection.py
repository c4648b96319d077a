"""Why an image cannot be used: its own damage, told apart from failures of the machine."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from alexnet.data.images.formats import FORMATS
from alexnet.errors import DataError
from alexnet.io.limits import MAX_IMAGE_PIXELS

IMAGE_ERRORS = (DataError, OSError, MemoryError)
"""What opening and decoding an image raises; any other error is a mistake of the program."""
IMAGE_ERRNOS = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EILSEQ,
        errno.EFBIG,
    }
)
"""Errors of the system that concern one file; any other may be over at the next try."""


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Turn every error of the calls of Pillow in the block into one of IMAGE_ERRORS.

    For damaged files Pillow raises OSError, SyntaxError, ValueError, RuntimeError, KeyError,
    TypeError and more, depending on the format and on where the file is damaged.

    Raises:
        DataError: the image is damaged.
        OSError: it cannot be read, or is damaged.
    """
    try:
        yield
    except IMAGE_ERRORS:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"more than {MAX_IMAGE_PIXELS:,} pixels") from error
    except Exception as error:
        raise DataError(f"damaged: {_one_line(error) or type(error).__name__}") from error


def is_machine_failure(error: BaseException) -> bool:
    """Whether an error says nothing about the image that was to be read.

    This is true of a lack of memory and of every error of the system, such as a lost connection to
    a file server, except IMAGE_ERRNOS. What Pillow raises for damage has no `errno`.
    """
    number = getattr(error, "errno", None)
    is_of_system = number is not None and number not in IMAGE_ERRNOS
    return isinstance(error, MemoryError) or is_of_system


def rejection_reason(error: Exception, name: str) -> str:
    """Why an image cannot be used, in one line that does not repeat its name.

    Raises:
        DataError: the machine failed and not the image, so the image must not be rejected; names
            the image.
    """
    text = _one_line(error)
    if is_machine_failure(error):
        raise DataError(
            f"{name} cannot be read now ({text or 'out of memory'}): solve that, or take "
            "that image out, and run the same again"
        ) from error
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return f"not a whole image of a supported format ({', '.join(FORMATS)})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return text if isinstance(error, DataError) else f"damaged: {text or type(error).__name__}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
