"""The inputs of `Classifier.predict`: one image or many, in every form that Python has for them."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, TypeAlias, TypeGuard, cast

import numpy as np
from PIL import Image

from alexnet.data.images.concurrency import silence_warnings
from alexnet.data.images.find import find_paths, match_paths, no_image_text
from alexnet.data.images.open import open_image, read_image
from alexnet.errors import DataError, UsageError
from alexnet.inference.arrays import array_images, is_tensor, tensor_images
from alexnet.io.data_url import data_image, is_data_image, is_data_url, looks_like_base64
from alexnet.io.files import open_regular
from alexnet.io.http import is_offline
from alexnet.io.limits import MAX_IMAGE_BYTES, MAX_URL_IMAGE_BYTES, MAX_URL_SECONDS
from alexnet.io.paths import expand_home, is_table
from alexnet.io.text import short_repr
from alexnet.io.url import is_address, is_secure, read_url

if TYPE_CHECKING:
    from torch import Tensor

ImageInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image "
    "| np.ndarray | Tensor"
)
"""One image, or a folder, a pattern or a batch of images.

A str is a path, a folder, a pattern such as "photos/*.jpg", an https address or one such as
"data:image/png;base64,.."; bytes and files opened with "rb" hold an image file; an array is uint8
[H, W, 3], [H, W] or with a first axis N; a tensor is uint8 [3, H, W], [1, H, W], [H, W], [H, W, 3]
or with a first axis N."""
KINDS = (
    "a path, a folder, a pattern, an https or data:image address, bytes, a file opened with 'rb', "
    "a Pillow image, "
    "a uint8 array or tensor [H, W, 3] or [N, H, W, 3], a uint8 tensor [3, H, W] or "
    "[N, 3, H, W], or a list of these"
)
IMAGE_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "img", "fname")
"""Usual names of a table's column of image paths."""
_shared = Lock()
"""Lock that is held while a Pillow image or a file of the caller is used, since these are not
thread-safe and the same one may be given twice."""


@dataclass(frozen=True, slots=True)
class Input:
    """One image that has not been read yet."""

    open: Callable[[int], AbstractContextManager[Image.Image]]
    """Opens the image for a `with` block; takes the side to which it will be resized
    (`open_image`), and raises one of IMAGE_ERRORS."""
    name: str = ""
    """Path or address of the image; empty if it has none."""
    content: Callable[[], bytes] | None = None
    """Returns the bytes of the image's file; None for an image that has no file."""
    is_changeable: bool = False
    """Whether the image's owner may change or close it; one from an iterator must then be read
    at once."""


@dataclass(frozen=True)
class _Files:
    """Image files as a sequence of paths, so that millions need no more memory than their names."""

    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Input]:
        return (_file(path, path) for path in self.paths)


def _file(path: str, name: str) -> Input:
    return Input(partial(_open_path, path), name, partial(_read_path, path))


def read_inputs(images: ImageInput | Iterable[ImageInput]) -> Iterable[Input]:
    """All images of a value: a sized collection, or an iterator if the value is iterated lazily.

    Raises:
        UsageError: the value, or an element of it, is none of KINDS.
    """
    if _is_one_value(images):
        return expand(images)
    _check_no_table(images)
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise UsageError(f"predict takes {KINDS}; not {_kind(images)}")
    if isinstance(images, list | tuple) and images and all(map(_lacks_images, images)):
        return expand(images[0])  # raises
    expanded = chain.from_iterable(map(_expand_one_of_many, cast("Iterable[object]", images)))
    if isinstance(images, list | tuple):
        return [replace(one, is_changeable=False) for one in expanded]
    return expanded


def _is_one_value(images: object) -> bool:
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)
    is_numeric = isinstance(images, np.ndarray) and (images.dtype.kind not in "OU")
    return isinstance(images, kinds) or is_numeric or is_tensor(images) or _is_file(images)


def _is_file(value: object) -> TypeGuard[IO[bytes]]:
    """Whether `value` is a file object; archives and cameras have `read` but are none."""
    return hasattr(value, "read") and (hasattr(value, "seek") or hasattr(value, "readable"))


def expand(value: object) -> list[Input] | _Files:
    """The images of one value: a single image, or all of a folder, a pattern or a batch.

    Raises:
        UsageError: the value is none of KINDS.
    """
    if isinstance(value, str | os.PathLike):
        return _expand_text(expand_home(value))
    if isinstance(value, bytes | bytearray | memoryview):
        content = bytes(value)
        _check_not_base64(content)
        return [Input(partial(_open_bytes, content), content=lambda: content)]
    if isinstance(value, Image.Image):
        return [Input(partial(_open_shared, value), is_changeable=True)]
    if isinstance(value, np.ndarray) or is_tensor(value):
        arrays = array_images(value) if isinstance(value, np.ndarray) else tensor_images(value)
        return [Input(partial(_open_array, array), is_changeable=True) for array in arrays]
    if _is_file(value):
        name = getattr(value, "name", "")
        name = name if isinstance(name, str) else ""
        content_of = partial(_read_shared, value)
        return [Input(partial(_open_file, value), name, content_of, is_changeable=True)]
    _check_no_table(value)
    raise UsageError(f"an image is {KINDS}; not {_kind(value)}")


def _check_no_table(value: object) -> None:
    """Reject a pandas DataFrame, which would be iterated by the names of its columns.

    Raises:
        UsageError: `value` is one; the message names the column that most likely has the images.
    """
    if not is_table(value):
        return
    names = [str(name) for name in value.columns]  # type: ignore[attr-defined]
    name = next((name for name in names if name.lower() in IMAGE_COLUMNS), "path")
    raise UsageError(
        f"predict takes images and not a {_kind(value)} (columns {', '.join(names)}); "
        f"give the column of their paths, df[{name!r}]"
    )


def _expand_one_of_many(value: object) -> list[Input] | _Files:
    """`expand`, but a folder or a pattern without images becomes one image that cannot be read."""
    if _lacks_images(value):
        text = expand_home(value)
        return [Input(partial(_open_missing, text), text)]
    return expand(value)


def _lacks_images(value: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether `value` is a folder or a pattern without images."""
    if not isinstance(value, str | os.PathLike):
        return False
    text = expand_home(value)
    if looks_like_base64(text):
        return False
    is_path = text and "\0" not in text and not is_address(text)
    return bool(is_path) and not match_paths(text, Counter())


@contextmanager
def _open_missing(text: str, side: int) -> Iterator[Image.Image]:
    raise DataError(no_image_text(text))
    yield


def _expand_text(text: str) -> list[Input] | _Files:
    if not text or "\0" in text:
        raise UsageError(f"an image is {KINDS}; not the text {text!r}")
    if is_address(text):
        return [_at_address(text)]
    _check_not_base64(text)
    paths = find_paths(text, Counter())
    return [_file(paths[0], text)] if paths == [str(Path(text))] else _Files(paths)


def _check_not_base64(content: str | bytes) -> None:
    """Reject an image file's content in base64.

    Raises:
        UsageError: the bytes are base64, or a str that is no existing path is.
    """
    is_path = isinstance(content, str) and os.path.exists(content)  # noqa: PTH110 - a long text
    if looks_like_base64(content) and not is_path:
        raise UsageError(
            f"{short_repr(content)} looks like base64; give base64.b64decode of it, or the "
            "address 'data:image/png;base64,' + text"
        )


def _at_address(url: str) -> Input:
    """The image in a `data:` address, or at an https address, which is downloaded when opened."""
    check_address(url)
    if is_data_image(url):
        content_of = partial(data_image, url, MAX_IMAGE_BYTES)
        return Input(partial(_open_content, content_of), content=content_of)
    content_of = partial(_read_url, url)
    return Input(partial(_open_content, content_of), url, content_of)


def check_address(url: str) -> None:
    """Check that an address may be read.

    Raises:
        UsageError: the address is neither https nor a base64 image in a `data:` address, or it is
            https and `$ALEXNET_OFFLINE` is set.
    """
    if is_data_image(url):
        return
    if is_data_url(url):
        raise UsageError(
            f"{short_repr(url)} is not read; of data: addresses, those that begin with "
            "data:image/ and have ;base64 are"
        )
    if not is_secure(url):
        raise UsageError(f"{url} is not read; only addresses that begin with https:// are")
    if is_offline():
        raise UsageError(f"{url} is not read, since $ALEXNET_OFFLINE is set")


@contextmanager
def _open_bytes(content: bytes, side: int) -> Iterator[Image.Image]:
    with read_image(io.BytesIO(content), side) as image:
        yield image


def _open_array(array: np.ndarray, side: int) -> Image.Image:
    return Image.fromarray(array)


@contextmanager
def _open_content(content_of: Callable[[], bytes], side: int) -> Iterator[Image.Image]:
    with _open_bytes(content_of(), side) as image:
        yield image


def _read_url(url: str) -> bytes:
    return read_url(url, MAX_URL_IMAGE_BYTES, MAX_URL_SECONDS)


def _open_path(path: str, side: int) -> AbstractContextManager[Image.Image]:
    return open_image(Path(path), side)


def _read_path(path: str) -> bytes:
    with open_regular(Path(path)) as file:
        return file.read(MAX_IMAGE_BYTES + 1)


@contextmanager
def _open_shared(image: Image.Image, side: int) -> Iterator[Image.Image]:
    """Give a Pillow image that belongs to the caller, and leave it open.

    Raises:
        UsageError: the image is closed already.
    """
    with _shared:
        if _is_closed(image):
            raise UsageError("a Pillow image is closed; predict needs it open, or loaded before")
        yield image


def _is_closed(image: Image.Image) -> bool:
    """Whether a Pillow image is closed; a damaged one cannot be decoded either, but is open."""
    try:
        with silence_warnings:
            image.load()
    except Exception:  # of a closed image the error depends on Pillow's version
        return getattr(image, "fp", None) is None
    return False


@contextmanager
def _open_file(file: IO[bytes], side: int) -> Iterator[Image.Image]:
    """Open the image in a file of the caller, which is read from its start and left open."""
    with _open_bytes(_read_shared(file), side) as image:
        yield image


def _read_shared(file: IO[bytes]) -> bytes:
    with _shared:
        return _read_file(file)


def _read_file(file: IO[bytes]) -> bytes:
    """The content of a file from its start, or of a stream from its current position.

    Raises:
        UsageError: the file is closed, or is not open for reading bytes.
        OSError: the file cannot be read.
    """
    if getattr(file, "closed", False):
        raise UsageError(f"{_kind(file)} is closed; predict needs an open file")
    if hasattr(file, "seekable") and file.seekable():
        file.seek(0)
    content = file.read(MAX_IMAGE_BYTES + 1)
    if not isinstance(content, bytes):
        raise UsageError(
            f"the file {_kind(file)} gives {_kind(content)}, not bytes; open it with 'rb'"
        )
    return content


def _kind(value: object) -> str:
    """The name of a value's type for a message."""
    return "None" if value is None else type(value).__name__
