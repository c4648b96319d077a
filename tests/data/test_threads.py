"""`map_bounded`: results in order, a short queue, and errors that come through."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from alexnet.data.threads import map_bounded
from support.cores import set_cores


@pytest.mark.parametrize("threads", [1, 8])
def test_results_are_in_the_order_of_the_items(threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        assert list(map_bounded(pool, lambda x: x * x, range(100))) == [x * x for x in range(100)]
        assert list(map_bounded(pool, str, [])) == []


def test_the_queue_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cores(monkeypatch, 2)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = map_bounded(pool, lambda item: item, items())
        assert next(results) == 0
        assert len(taken) == 5  # two for each core, and the one whose result was read


def test_an_error_comes_through() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = map_bounded(pool, lambda item: 1 // item, [1, 0, 1])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
