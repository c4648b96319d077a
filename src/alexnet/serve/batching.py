"""Batching: images of several requests are computed together.

A batch waits only for images that are on their way: being decoded. A lone request waits for none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[Key]):
    """An image that waits to be computed."""

    key: Key
    pixels: np.ndarray
    result: asyncio.Future[np.ndarray]


class Batcher(Generic[Key]):
    """Joins images with equal keys into batches, in order of arrival; computes one at a time.

    Args:
        compute: the results of a batch: of pixels uint8 [N, S, S, 3], one for each image.
        executor: where it computes.
        max_batch: the most images of a batch, by key.
        max_wait_seconds: how long a batch waits for images that are on their way.
        on_batch: called with the number of images of every batch.
    """

    def __init__(
        self,
        compute: Callable[[Key, np.ndarray], np.ndarray],
        executor: Executor,
        max_batch: Callable[[Key], int],
        max_wait_seconds: float,
        on_batch: Callable[[int], None] = lambda n: None,
    ) -> None:
        self.compute, self.executor, self.max_batch = compute, executor, max_batch
        self.max_wait_seconds, self.on_batch = max_wait_seconds, on_batch
        self._jobs: deque[Job[Key]] = deque()
        self._num_coming = 0
        self._changed = asyncio.Event()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """A context for an image that is being prepared; its `submit` follows, unless it fails."""
        self._num_coming += 1
        try:
            yield
        finally:
            self._num_coming -= 1
            self._changed.set()

    def submit(self, key: Key, pixels: np.ndarray) -> asyncio.Future[np.ndarray]:
        """Queue an image; return a future of its result."""
        job = Job(key, pixels, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._changed.set()
        return job.result

    async def run(self) -> None:
        """Compute batches until this task is cancelled."""
        while True:
            await self._changed_until(lambda: bool(self._jobs))
            key = self._jobs[0].key
            await self._wait_for_more(key)
            await self._compute(key, self._take(key))

    async def _wait_for_more(self, key: Key) -> None:
        def is_complete() -> bool:
            return not self._num_coming or len(self._jobs) >= self.max_batch(key)

        try:
            async with asyncio.timeout(self.max_wait_seconds):
                await self._changed_until(is_complete)
        except TimeoutError:
            return

    async def _changed_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _take(self, key: Key) -> list[Job[Key]]:
        """Take the first jobs with this key, at most a batch, from the queue."""
        of_key = [job for job in self._jobs if job.key == key][: self.max_batch(key)]
        taken = set(of_key)
        self._jobs = deque(job for job in self._jobs if job not in taken)
        return of_key

    async def _compute(self, key: Key, jobs: Sequence[Job[Key]]) -> None:
        loop = asyncio.get_running_loop()
        self.on_batch(len(jobs))
        try:
            pixels = np.stack([job.pixels for job in jobs])
            results = await loop.run_in_executor(self.executor, self.compute, key, pixels)
        except Exception as error:  # a mistake of the program, which those who wait report
            for job in jobs:
                if not job.result.done():
                    job.result.set_exception(error)
            return
        for job, result in zip(jobs, results, strict=True):
            if not job.result.done():  # nobody waits any more
                job.result.set_result(result)
