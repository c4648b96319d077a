"""Images decoded ahead by threads that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.decoding import decode_batches
from alexnet.inference.inputs import read_inputs
from support.collecting import closes_while_a_thread_starts, threads_end

PREPROCESSING = Preprocessing(resize_size=16, crop_size=16)


@pytest.mark.parametrize("prefetch", [True, False])
def test_abandoned_batches_can_be_collected_at_any_moment(prefetch: bool) -> None:
    before = threading.active_count()
    images = np.zeros((200, 16, 16, 3), np.uint8)
    batches = decode_batches(read_inputs(list(images)), PREPROCESSING, prefetch=prefetch)
    assert len(next(batches)) == 64
    assert closes_while_a_thread_starts(batches)
    assert threads_end(before)


@pytest.mark.parametrize(("prefetch", "begun"), [(True, 128), (False, 64)])
def test_the_next_batch_is_decoded_ahead_if_wanted(prefetch: bool, begun: int) -> None:
    given: list[int] = []

    def images() -> Iterator[np.ndarray]:
        for i in range(150):
            given.append(i)
            yield np.full((16, 16, 3), i, np.uint8)

    batches = decode_batches(read_inputs(images()), PREPROCESSING, prefetch=prefetch)
    found = [next(batches)]
    assert len(given) == begun
    found += batches
    assert [len(batch) for batch in found] == [64, 64, 22]
    pixels = [image.pixels for batch in found for image in batch]
    assert [int(one[0, 0, 0]) for one in pixels if one is not None] == list(range(150))
    assert not list(decode_batches([], PREPROCESSING, prefetch=prefetch))
