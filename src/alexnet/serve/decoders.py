"""Images are decoded in processes that may crash, hang or be killed: only their image is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.io.text import printable
from alexnet.ops.resize import load_resizer
from alexnet.serve.decode_worker import (
    ANSWER,
    REQUEST,
    RESIZES,
    UNUSABLE,
    DecodedUpload,
)
from alexnet.serve.limits import Limits
from alexnet.serve.problems import UNREADABLE, ProblemError, too_busy

LOG = logging.getLogger("alexnet.serve")
ENVIRONMENT = (
    "HOME", "PATH", "SYSTEMROOT", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "CC",
    "ALEXNET_CACHE", "ALEXNET_ISA", "ALEXNET_KERNELS",
)  # fmt: skip
"""Names of the environment variables that a decoding process gets; no token is among them."""
MAX_REASON_BYTES = 4096
LAST_WORDS_SECONDS = 1.0
"""Seconds to wait for what an ended process wrote."""
STREAM_BYTES = 1 << 20
"""Buffer size of a process's answers in bytes; an answer of this size is received at once."""
START_SECONDS = 60.0
"""Seconds that a process may take until it is ready."""
RESTART_SECONDS, MAX_RESTART_SECONDS = 1.0, 60.0
"""First and maximum number of seconds between two attempts to start a process, where the machine
refuses one; they double with every attempt."""


class Decoders(Protocol):
    """The interface of what decodes images for the service."""

    num_alive: int
    """Number of decoding processes that have not ended."""

    async def start(self) -> None:
        """Start, and return when images can be decoded."""

    async def close(self) -> None:
        """Stop, and end all processes."""

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """Decode an image file: its pixels, or the problem with it."""


class DecoderLostError(Exception):
    """A decoding process ended, hung or sent an invalid answer; the message is the reason."""


class DecodeProcess:
    """One process, which decodes one image at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.process: Process

    async def start(self) -> None:
        """Start the process, and wait until it is ready.

        Raises:
            OSError: the machine refuses a process, or it ends or hangs at once; says what it wrote.
        """
        try:
            await self._create()
        except RuntimeError as error:  # asyncio: "can't start new thread"
            raise OSError(f"a process that decodes images cannot be had: {error}") from error
        try:
            await self._wait_until_ready()
        except BaseException as error:
            await self.end()
            if isinstance(error, OSError):
                raise OSError(f"{error}{await self._last_words()}") from error
            raise

    async def _create(self) -> None:
        environment = {
            **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        creation = asyncio.create_task(asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alexnet.serve.decode_worker"),
            str(int(self.limits.decode_memory_mb * 1e6)),
            stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment,
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
            limit=STREAM_BYTES,
        ))  # fmt: skip
        try:
            self.process = await asyncio.shield(creation)
        except asyncio.CancelledError:  # without the shield the process would be there, unknown
            self.process = await creation
            await self.end()
            raise

    async def _wait_until_ready(self) -> None:
        assert self.process.stdout
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.process.stdout.readexactly(ANSWER.size)
        except (EOFError, TimeoutError) as error:
            what = "hangs" if isinstance(error, TimeoutError) else "ends"
            raise OSError(f"a process that decodes images {what} before it is ready") from error

    async def _last_words(self) -> str:
        """The last line that an ended process wrote to stderr, after a colon; "" if none."""
        assert self.process.stderr
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                written = await self.process.stderr.read()
        except TimeoutError:  # a process that it started lives on
            return ""
        lines = written.decode("utf-8", "replace").split("\n")
        words = [printable(line.strip()) for line in lines if line.strip()]
        return f": {words[-1][:MAX_REASON_BYTES]}" if words else ""

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended yet, as far as is known."""
        return self.process.returncode is None

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """Decode an image file: its pixels, or the problem with it.

        Raises:
            DecoderLostError: the process must be replaced.
        """
        try:
            async with asyncio.timeout(self.limits.decode_seconds):
                return await self._decode(content, preprocessing)
        except TimeoutError as error:
            seconds = self.limits.decode_seconds
            raise DecoderLostError(f"decoding takes longer than {seconds:g} seconds") from error
        except (EOFError, OSError) as error:
            raise DecoderLostError("the process that decoded it has ended") from error

    async def _decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        side, resize = preprocessing.resize_size, RESIZES.index(preprocessing.resize)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        stdin.write(REQUEST.pack(len(content), side, resize, self.limits.pixels))
        stdin.write(content)
        await stdin.drain()
        status, width, height, size = ANSWER.unpack(await stdout.readexactly(ANSWER.size))
        is_image = status == 200
        if size > MAX_REASON_BYTES and not (is_image and size == side * side * 3):
            raise DecoderLostError("the process that decoded it has failed")
        body = await stdout.readexactly(size)
        if not is_image:
            return DecodedUpload(status, reason=body.decode("utf-8", "replace"))
        pixels = np.frombuffer(body, np.uint8).reshape(side, side, 3)
        return DecodedUpload(status, width, height, pixels)

    async def end(self) -> None:
        """Kill the process, and wait for its end."""
        if self.is_alive:
            self.process.kill()
        await self.process.wait()


class DecoderPool:
    """A pool of decoding processes, each of which is replaced when it ends."""

    def __init__(self, limits: Limits, on_restart: Callable[[], None] = lambda: None) -> None:
        self.limits, self.on_restart = limits, on_restart
        self.num_alive = 0
        self._idle: deque[DecodeProcess] = deque()
        self._waiting: deque[asyncio.Future[DecodeProcess]] = deque()
        self._all: set[DecodeProcess] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._start_has_failed = False
        self._retrying = asyncio.Lock()

    async def start(self) -> None:
        """Start all processes, and wait until they are ready; do nothing if they have been started.

        Raises:
            OSError: the machine refuses one, or it ends or hangs at once; none is left then.
        """
        if self._all:
            return
        load_resizer()  # compiled once, not by every process
        starts = [asyncio.create_task(self._add()) for _ in range(self.limits.num_decoders)]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                if not start.cancelling():  # a second time would interrupt its end
                    start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.close()
            raise

    async def close(self) -> None:
        """End all processes."""
        self._is_open = False
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*(one.end() for one in self._all))

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """Decode an image file in the next idle process: its pixels, or the problem with it.

        Raises:
            ProblemError: there is none, and none can be started at the moment.
        """
        one = await self._next_idle()
        is_whole = False
        try:
            decoded = await one.decode(content, preprocessing)
            is_whole = True
        except DecoderLostError as error:
            return DecodedUpload(UNUSABLE, reason=str(error))
        finally:  # one that was interrupted would answer the next request with this one's image
            if is_whole:
                self._give(one)
            else:
                self._replace(one)
        return decoded

    async def _next_idle(self) -> DecodeProcess:
        """Wait for an idle process; requests are served in the order in which they came."""
        while True:
            if self._idle:
                one = self._idle.popleft()
            elif self._start_has_failed and not self.num_alive:
                raise _none_can_be_started()
            else:
                one = await self._wait()
            if one.is_alive:
                return one
            self._replace(one)

    async def _wait(self) -> DecodeProcess:
        place: asyncio.Future[DecodeProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and not place.exception():
                self._give(place.result())
            raise

    def _give(self, one: DecodeProcess) -> None:
        """Give a process to the request that has waited longest; if none waits, it becomes idle."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(one)
                return
        self._idle.append(one)

    async def _add(self) -> None:
        one = DecodeProcess(self.limits)
        await one.start()
        self._start_has_failed = False
        self._all.add(one)
        self.num_alive += 1
        self._give(one)

    def _replace(self, one: DecodeProcess) -> None:
        self.num_alive -= 1
        self._all.discard(one)
        self.on_restart()
        task = asyncio.create_task(self._start_another(one))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _start_another(self, lost: DecodeProcess) -> None:
        await lost.end()
        if await self._is_added():
            return
        async with self._retrying:  # one tries for all
            seconds = RESTART_SECONDS
            while self._is_open:
                if self._start_has_failed:
                    await asyncio.sleep(seconds)
                if await self._is_added():
                    return
                seconds = min(2 * seconds, MAX_RESTART_SECONDS)

    async def _is_added(self) -> bool:
        """Try to start another process; return whether it works. If none is left, requests fail."""
        try:
            await self._add()
        except OSError as error:
            LOG.error("no process that decodes images can be started: %s", error)
            self._start_has_failed = True
            while self._waiting and not self.num_alive:
                place = self._waiting.popleft()
                if not place.done():
                    place.set_exception(_none_can_be_started())
            return False
        return True


def _none_can_be_started() -> ProblemError:
    return too_busy("no process that decodes images can be started")


def pixels_of(decoded: DecodedUpload) -> np.ndarray:
    """The pixels of an image.

    Raises:
        ProblemError: it could not be decoded.
    """
    if decoded.pixels is None:
        reason = f"the image cannot be read: {decoded.reason}"
        raise ProblemError(decoded.status, reason, UNREADABLE)
    return decoded.pixels
