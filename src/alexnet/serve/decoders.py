"""Images are decoded in processes that may crash, hang or be killed: only their image is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from typing import Protocol

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.ops.resize import load_resizer
from alexnet.serve.decode_worker import (
    ANSWER,
    REQUEST,
    RESIZES,
    UNUSABLE,
    DecodedUpload,
    decode_upload,
)
from alexnet.serve.limits import Limits
from alexnet.serve.problems import UNREADABLE, ProblemError, too_busy

LOG = logging.getLogger("alexnet.serve")
ENVIRONMENT = (
    "HOME", "PATH", "SYSTEMROOT", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "CC",
    "ALEXNET_CACHE", "ALEXNET_ISA", "ALEXNET_KERNELS",
)  # fmt: skip
"""What a decoding process sees of the environment; no token can leak there."""
MAX_REASON_BYTES = 4096
STREAM_BYTES = 1 << 20
"""An answer of this size is received at once."""
START_SECONDS = 60.0
"""How long a process may take until it is ready."""
RESTART_SECONDS = 1.0
"""Between two attempts to start a process, where the machine refuses one."""


class Decoders(Protocol):
    """What decodes images for the service."""

    num_alive: int
    """Of its processes."""

    async def start(self) -> None:
        """Be ready."""

    async def close(self) -> None:
        """End."""

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """An image file as pixels, or the problem with it."""


class DecoderLostError(Exception):
    """A process ended, hung or said nonsense; the message is the reason."""


class DecodeProcess:
    """One process, which decodes one image at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.process: Process

    async def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            OSError: the machine refuses a process, or it ends or hangs at once.
        """
        environment = {
            **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alexnet.serve.decode_worker"),
            str(int(self.limits.decode_memory_mb * 1e6)),
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment,
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
            limit=STREAM_BYTES,
        )  # fmt: skip
        is_ready = False
        try:
            await self._wait_until_ready()
            is_ready = True
        finally:
            if not is_ready:
                await self.end()

    async def _wait_until_ready(self) -> None:
        assert self.process.stdout
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.process.stdout.readexactly(ANSWER.size)
        except (EOFError, TimeoutError) as error:
            what = "hangs" if isinstance(error, TimeoutError) else "ends"
            raise OSError(f"a process that decodes images {what} before it is ready") from error

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        return self.process.returncode is None

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """An image file as pixels, or the problem with it.

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
        """Kill it."""
        if self.is_alive:
            self.process.kill()
        await self.process.wait()


class DecoderPool:
    """Several processes, of which every one that ends is replaced."""

    def __init__(self, limits: Limits, on_restart: Callable[[], None] = lambda: None) -> None:
        self.limits, self.on_restart = limits, on_restart
        self.num_alive = 0
        self._idle: asyncio.Queue[DecodeProcess] = asyncio.Queue()
        self._all: set[DecodeProcess] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._start_has_failed = False

    async def start(self) -> None:
        """Start all processes, and wait until they are ready; nothing if they are.

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
        """An image file as pixels, or the problem with it; waits for an idle process.

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
                self._idle.put_nowait(one)
            else:
                self._replace(one)
        return decoded

    async def _next_idle(self) -> DecodeProcess:
        while True:
            if not self.num_alive and self._start_has_failed:
                raise too_busy("no process that decodes images can be started")
            try:
                async with asyncio.timeout(RESTART_SECONDS):
                    one = await self._idle.get()
            except TimeoutError:
                continue
            if one.is_alive:
                return one
            self._replace(one)

    async def _add(self) -> None:
        one = DecodeProcess(self.limits)
        await one.start()
        self._start_has_failed = False
        self._all.add(one)
        self.num_alive += 1
        self._idle.put_nowait(one)

    def _replace(self, one: DecodeProcess) -> None:
        self.num_alive -= 1
        self._all.discard(one)
        self.on_restart()
        task = asyncio.create_task(self._start_another(one))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _start_another(self, lost: DecodeProcess) -> None:
        await lost.end()
        while self._is_open:
            try:
                await self._add()
                return
            except OSError as error:
                LOG.error("no process that decodes images can be started: %s", error)
                self._start_has_failed = True
                await asyncio.sleep(RESTART_SECONDS)


class DirectDecoder:
    """Decodes in this process: for tests, and where the images can be trusted."""

    num_alive = 1

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to end."""

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """An image file as pixels, or the problem with it."""
        p = preprocessing
        return decode_upload(content, p.resize, p.resize_size, self.limits.pixels)


def pixels_of(decoded: DecodedUpload) -> np.ndarray:
    """The pixels of an image.

    Raises:
        ProblemError: it could not be decoded.
    """
    if decoded.pixels is None:
        reason = f"the image cannot be read: {decoded.reason}"
        raise ProblemError(decoded.status, reason, UNREADABLE)
    return decoded.pixels
