"""Times of an epoch, by a clock that is slept on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from alexnet.training.timer import Elapsed, EpochTimer

PAUSE = 0.02


def slow_batches(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Batches of three images, each of which is waited for."""
    for _ in range(count):
        time.sleep(PAUSE)
        yield [0, 0, 0], [1, 1, 1]


def test_waiting_is_part_of_training_and_saving_is_not() -> None:
    timer = EpochTimer()
    for _ in timer.timed(slow_batches(2)):
        with timer.saving():
            time.sleep(PAUSE)
    elapsed = timer.elapsed()
    assert elapsed.images == 6
    assert elapsed.data_wait_seconds >= 2 * PAUSE
    assert elapsed.data_wait_seconds <= elapsed.training_seconds
    assert elapsed.training_seconds + 2 * PAUSE <= elapsed.elapsed_seconds


def test_a_checkpoint_before_the_first_batch_is_no_part_of_training() -> None:
    timer = EpochTimer()
    with timer.saving():  # between two epochs
        time.sleep(3 * PAUSE)
    for _ in timer.timed(slow_batches(1)):
        pass
    assert timer.elapsed().training_seconds >= PAUSE


def test_what_an_interrupted_epoch_took_is_added() -> None:
    before = Elapsed(images=10, data_wait_seconds=1.0, training_seconds=4.0, elapsed_seconds=5.0)
    timer = EpochTimer(before)
    for _ in timer.timed(slow_batches(1)):
        pass
    times = timer.times(epoch=3)
    assert times.epoch == 3
    assert times.elapsed_seconds >= 5 + PAUSE
    assert times.images_per_second == pytest.approx(13 / timer.elapsed().training_seconds)
    assert 1 / 5 < times.data_wait_fraction < 1 / 3
