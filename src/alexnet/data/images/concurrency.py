"""Many threads decode images at one time: a budget of pixels for all, and no warnings from any."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from alexnet.io.limits import MAX_IMAGE_PIXELS


class PixelBudget:
    """Makes threads wait while the images that are being decoded have too many pixels together."""

    def __init__(self, pixels: int) -> None:
        self._free, self._changed = pixels, threading.Condition()

    @contextmanager
    def reserve(self, pixels: int) -> Iterator[None]:
        """Wait until `pixels`, at most the whole budget, are free, and hold them in the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


class SilenceWarnings:
    """A context that silences warnings while any thread is inside.

    Pillow warns of broken EXIF and much else; what cannot be decoded still raises.
    `warnings.catch_warnings` alone is not safe for threads: a thread that leaves late would restore
    the filters of one that is still inside.
    """

    def __init__(self) -> None:
        self._lock, self._num_inside = threading.Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._num_inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._num_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if not self._num_inside:
                self._caught.__exit__(None, None, None)


pixel_budget = PixelBudget(MAX_IMAGE_PIXELS)
silence_warnings = SilenceWarnings()
