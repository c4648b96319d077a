"""Decode and resize images of any form, in batches by threads."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.data.images.decode import decode
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.errors import DataError
from alexnet.inference.inputs import Input
from alexnet.ops.cores import num_cores

DECODE_BATCH = 64
"""Images that are decoded and used at a time, which limits the memory."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image as uint8 [S, S, 3]; if it cannot be read, `pixels` is None and `error` says why."""

    name: str
    pixels: np.ndarray | None = None
    error: str = ""


def readable(image: Decoded) -> np.ndarray:
    """The pixels of a decoded image, uint8 [S, S, 3].

    Raises:
        DataError: the image could not be read.
    """
    if image.pixels is None:
        raise DataError(f"cannot read {image.name}: {image.error}")
    return image.pixels


def decode_batches(
    inputs: Iterable[Input], preprocessing: Preprocessing, *, prefetch: bool
) -> Generator[list[Decoded]]:
    """Yield all images in batches, decoded and resized by threads.

    Args:
        inputs: the images.
        preprocessing: how they are resized.
        prefetch: whether the next batch is decoded while the caller computes with one. On the CPU
            that takes a tenth longer than decoding and computing in turn: all threads of a
            computation wait for the one that decoding has interrupted.
    """
    pool = ThreadPoolExecutor(num_cores())
    ahead: list[Future[Decoded]] = []
    numbered = enumerate(inputs)
    try:
        while batch := [
            _submit(pool, image, index, preprocessing)
            for index, image in islice(numbered, DECODE_BATCH)
        ]:
            if prefetch:
                batch, ahead = ahead, batch
            if batch:
                yield [future.result() for future in batch]
        if ahead:
            yield [future.result() for future in ahead]
    finally:
        # Neither does an interrupt wait for what is ahead, nor a garbage collector, which may be in
        # the midst of starting a thread and would wait forever.
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(
    pool: ThreadPoolExecutor, image: Input, index: int, preprocessing: Preprocessing
) -> Future[Decoded]:
    """Decode an image in a thread, or at once if its owner may change it."""
    if not image.is_changeable:
        return pool.submit(_decode, image, index, preprocessing)
    done: Future[Decoded] = Future()
    done.set_result(_decode(image, index, preprocessing))
    return done


def _decode(image: Input, index: int, preprocessing: Preprocessing) -> Decoded:
    name = image.name or f"image {index}"
    try:
        with image.open(preprocessing.resize_size) as opened:
            pixels = decode(opened, preprocessing.resize, preprocessing.resize_size)
    except IMAGE_ERRORS as error:
        return Decoded(name, error=rejection_reason(error, name))
    return Decoded(name, pixels)
