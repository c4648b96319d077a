"""Reading of a request's images, in memory alone: nothing is written, no file is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.requests import Request

from alexnet.serve.limits import Limits
from alexnet.serve.multipart import MultipartReader
from alexnet.serve.problems import ProblemError, too_busy
from alexnet.serve.schemas import JsonImages

BODY_TYPES = "multipart/form-data, application/json, an image's type or application/octet-stream"
RAW_TYPES = ("application/octet-stream", "binary/octet-stream")
PARTS_PER_IMAGE = 300
"""Commas and brackets that an image in JSON may have; its name has at most 255 characters."""
DISCARD_SECONDS = 2.0
"""Seconds for which the rest of a refused body is read, so that its sender reads the answer."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An image file sent by a client."""

    name: str
    content: bytes


class Memory:
    """The memory budget of all request bodies together."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes, self.used_bytes = limit_bytes, 0

    @contextmanager
    def account(self) -> Iterator[Account]:
        """A context with an account for one body; what it took is given back at the end."""
        account = Account(self)
        try:
            yield account
        finally:
            self.used_bytes -= account.used_bytes


class Account:
    """The memory that one request body takes of the budget."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.used_bytes = memory, 0

    def add(self, num_bytes: int) -> None:
        """Take more bytes of the budget.

        Raises:
            ProblemError: it, or all bodies together, have taken too much.
        """
        limit = self.memory.limit_bytes
        if self.used_bytes + num_bytes > limit:
            raise _too_large(limit)
        if self.memory.used_bytes + num_bytes > limit:
            raise too_busy("the server receives too much at the moment")
        self.memory.used_bytes += num_bytes
        self.used_bytes += num_bytes


async def read_uploads(request: Request, limits: Limits, account: Account) -> list[Upload]:
    """The images of a request body: a form, JSON, or one image file as the body.

    Raises:
        ProblemError: it is of another type, damaged, too large or too slow, or has no image.
    """
    kind = request.headers.get("content-type", "")
    media_type = kind.partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "a compressed body is not read; send it as it is")
    body = _Body(request, limits, account)
    if media_type == "multipart/form-data":
        reader = MultipartReader(kind, limits.max_files)
        async for chunk in body:
            reader.feed(chunk)
        files = reader.end()
    elif media_type == "application/json":
        files = _json_files(await body.whole(), limits)
    elif media_type.startswith("image/") or media_type in RAW_TYPES:
        files = [("", await body.whole())]
    else:
        raise ProblemError(415, f"the body is {media_type or 'of no type'}; send {BODY_TYPES}")
    return [Upload(name or f"image {i}", content) for i, (name, content) in enumerate(files)]


def _json_files(body: bytes, limits: Limits) -> list[tuple[str, bytes]]:
    # Parsing takes 100 to 600 times the memory of "{},{},..": it is refused before.
    if sum(map(body.count, b"{[,")) > PARTS_PER_IMAGE * limits.max_files:
        raise ProblemError(413, f"the JSON has more parts than {limits.max_files:,} images have")
    try:
        images = JsonImages.model_validate_json(body).images
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise ProblemError(422, f"{place}: {first['msg']}") from error
    if len(images) > limits.max_files:
        raise ProblemError(413, f"{len(images):,} images are more than {limits.max_files:,}")
    return [(image.name, image.data) for image in images]


class _Body:
    """Iterates over a body's chunks, within the limits of size and time."""

    def __init__(self, request: Request, limits: Limits, account: Account) -> None:
        self.request, self.limits, self.account = request, limits, account

    async def whole(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream = self.request.stream()
        try:
            async with asyncio.timeout(self.limits.receive_seconds):
                self._check(int(self.request.headers.get("content-length", "0")))
                size = 0
                async for chunk in stream:
                    size += len(chunk)
                    self._check(size)
                    self.account.add(len(chunk))
                    yield chunk
        except TimeoutError as error:
            seconds = self.limits.receive_seconds
            raise ProblemError(408, f"sending it took longer than {seconds:g} seconds") from error
        except ProblemError:
            await _discard(stream, self.limits.body_bytes)
            raise

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self.limits.body_bytes:
            raise _too_large(self.limits.body_bytes)


def _too_large(limit_bytes: int) -> ProblemError:
    return ProblemError(413, f"the body has more than {limit_bytes:,} bytes")


async def _discard(stream: AsyncIterator[bytes], max_bytes: int) -> None:
    """Read and discard the rest of a body for a while: closing at once could lose the answer."""
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            async for chunk in stream:
                max_bytes -= len(chunk)
                if max_bytes < 0:
                    return
    except TimeoutError:
        return
