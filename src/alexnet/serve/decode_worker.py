"""A process that decodes images for the server, one after the other, from stdin to stdout.

`python -m alexnet.serve.decode_worker MEMORY_BYTES` reads requests (REQUEST, then the image file)
and writes answers (ANSWER, then the pixels or the reason), before them an empty one as soon as it
is ready. It opens no file, may write none, and ends when its stdin does. It is no sandbox: it runs
with the rights of the user.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from dataclasses import dataclass
from struct import Struct
from typing import IO

import numpy as np
from PIL import Image

from alexnet.config.preprocessing import Resize
from alexnet.data.images.concurrency import silence_warnings
from alexnet.data.images.decode import decode, upright_size
from alexnet.data.images.formats import FORMATS, heic_formats
from alexnet.data.images.kinds import HEAD_BYTES, HEIC, READ, kind_of
from alexnet.data.images.open import read_image
from alexnet.data.images.rejection import (
    IMAGE_ERRORS,
    is_machine_failure,
    rejection_reason,
)
from alexnet.io.isolated import limit_memory
from alexnet.ops.resize import load_resizer
from alexnet.runtime.malloc import keep_freed_memory

RESIZES: tuple[Resize, ...] = ("shortest_edge", "stretch")
REQUEST = Struct("<IHBQ")
"""Head of a request: number of bytes of the file, side of the result, index in RESIZES, and maximum
number of pixels."""
ANSWER = Struct("<HIII")
"""Head of an answer: HTTP status, width and height of the image, and number of bytes that
follow."""
OK, TOO_LARGE, WRONG_TYPE, UNUSABLE = 200, 413, 415, 422


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    """One image as uint8 [S, S, 3], or the reason why it could not be decoded."""

    status: int = OK
    """200, or the HTTP status of the answer to the client that sent the image."""
    width: int = 0
    """Width of the upright image before it is resized, in pixels."""
    height: int = 0
    pixels: np.ndarray | None = None
    reason: str = ""


def decode_upload(content: bytes, resize: Resize, side: int, max_pixels: int) -> DecodedUpload:
    """Decode an image file's bytes and resize it as for training."""
    if reason := _too_many_pixels(content, max_pixels):
        return DecodedUpload(TOO_LARGE, reason=reason)
    try:
        with read_image(io.BytesIO(content), side) as image:
            pixels = decode(image, resize, side)
            return DecodedUpload(OK, *upright_size(image), pixels)
    except IMAGE_ERRORS as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return DecodedUpload(UNUSABLE, reason="decoding it needs more memory than is allowed")
        if is_machine_failure(error):
            return DecodedUpload(UNUSABLE, reason="it cannot be decoded now; try again")
        kind = kind_of(content[:HEAD_BYTES])
        is_read = kind in READ and (kind != HEIC or bool(heic_formats()))
        status = UNUSABLE if is_read or not content else WRONG_TYPE
        return DecodedUpload(status, reason=rejection_reason(error, "it"))


def _too_many_pixels(content: bytes, max_pixels: int) -> str:
    """The error for an image that is too large by its header; "" for all others."""
    try:
        with silence_warnings, Image.open(io.BytesIO(content), formats=_formats()) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        return f"more than {max_pixels:,} pixels"
    except Exception:  # whatever a damaged header makes Pillow raise; `read_image` words it
        return ""
    return f"{width}x{height} pixels are more than {max_pixels:,}" * (width * height > max_pixels)


def _formats() -> tuple[str, ...]:
    return (*FORMATS, *heic_formats())


def main(memory_bytes: int) -> None:
    """Decode one image per request on stdin until that ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # sent to all processes; stdin says when to end
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    keep_freed_memory()
    warm_up()
    _limit(memory_bytes)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):  # the server reads why this process cannot start, and nothing after that
        os.dup2(nowhere, output)
    _write(answers, DecodedUpload())
    while _answer_one(requests, answers):
        pass


def warm_up() -> None:
    """Load what is imported lazily, and the resizing kernel."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    decode_upload(file.getvalue(), "stretch", 8, 64 * 64)
    load_resizer()


def _answer_one(requests: IO[bytes], answers: IO[bytes]) -> bool:
    """Read and answer one request; return False if stdin has ended."""
    header = requests.read(REQUEST.size)
    if len(header) < REQUEST.size:
        return False
    size, side, resize, max_pixels = REQUEST.unpack(header)
    content = requests.read(size)
    _write(answers, decode_upload(content, RESIZES[resize], side, max_pixels))
    return True


def _write(answers: IO[bytes], result: DecodedUpload) -> None:
    reason = result.reason.encode("utf-8", "backslashreplace")
    body = reason if result.pixels is None else result.pixels.tobytes()
    answers.write(ANSWER.pack(result.status, result.width, result.height, len(body)))
    answers.write(body)
    answers.flush()


def _limit(memory_bytes: int) -> None:
    """Limit this process's memory, and forbid it to write files, where the system can."""
    limit_memory(memory_bytes)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
