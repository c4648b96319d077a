"""Images of several requests in one batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alexnet.serve.batching import Batcher


class Network:
    """Doubles the first pixel of every image, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int]] = []

    def __call__(self, key: str, pixels: np.ndarray) -> np.ndarray:
        self.batches.append((key, len(pixels)))
        if key == "fails":
            raise RuntimeError("no")
        time.sleep(0.002)
        return 2 * pixels[:, 0, 0, 0]


def pixels(value: int) -> np.ndarray:
    return np.full((1, 1, 3), value, np.uint8)


def run(network: Network, ask: Callable[[Batcher[str]], Awaitable[None]], wait: float) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(network, pool, lambda key: 1 if key == "alone" else 4, wait)
            task = asyncio.create_task(batcher.run())
            async with asyncio.timeout(5):
                await ask(batcher)
            task.cancel()

    asyncio.run(main())


def test_images_that_wait_are_joined_by_key_and_in_their_order() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        keys = ["a", "a", "b", "a", "a", "a", "alone", "alone"]
        futures = [batcher.submit(key, pixels(i)) for i, key in enumerate(keys)]
        assert [int(one) for one in await asyncio.gather(*futures)] == [0, 2, 4, 6, 8, 10, 12, 14]

    network = Network()
    run(network, ask, wait=9)
    assert network.batches == [("a", 4), ("b", 1), ("a", 1), ("alone", 1), ("alone", 1)]


@pytest.mark.parametrize(("wait", "batches"), [(9, [("a", 2)]), (0, [("a", 1), ("a", 1)])])
def test_a_batch_waits_for_images_on_their_way_and_not_for_long(
    wait: float, batches: list[tuple[str, int]]
) -> None:
    async def ask(batcher: Batcher[str]) -> None:
        with batcher.coming():
            first = batcher.submit("a", pixels(1))
            await asyncio.wait([first], timeout=0.02 if wait else None)
            second = batcher.submit("a", pixels(2))
        await asyncio.gather(first, second)

    network = Network()
    run(network, ask, wait)
    assert network.batches == batches


def test_an_image_that_is_lost_on_its_way_is_not_waited_for() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        with pytest.raises(ValueError, match="lost"), batcher.coming():
            raise ValueError("lost")
        assert int(await batcher.submit("a", pixels(3))) == 6

    run(Network(), ask, wait=9)


def test_a_batch_that_fails_ends_no_other() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        left = [batcher.submit("fails", pixels(1)) for _ in range(2)]
        left[0].cancel()  # its client has gone
        with pytest.raises(RuntimeError, match="no"):
            await left[1]
        with pytest.raises(RuntimeError, match="no"):
            await batcher.submit("fails", pixels(1))
        assert int(await batcher.submit("a", pixels(4))) == 8

    run(Network(), ask, wait=0)
