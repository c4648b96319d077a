"""Images decoded ahead by threads that nobody waits for."""

from __future__ import annotations

import threading

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.decoding import decode_batches
from alexnet.inference.inputs import read_inputs
from support.collecting import closes_while_a_thread_starts, threads_end

PREPROCESSING = Preprocessing(resize_size=16, crop_size=16)


def test_abandoned_batches_can_be_collected_at_any_moment() -> None:
    before = threading.active_count()
    images = np.zeros((200, 16, 16, 3), np.uint8)
    batches = decode_batches(read_inputs(list(images)), PREPROCESSING)
    assert len(next(batches)) == 64
    assert closes_while_a_thread_starts(batches)
    assert threads_end(before)
