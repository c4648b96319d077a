"""Lanczos resizing of decoded images by a C kernel, with the bits of Pillow's `resize`.

Pillow's own is not vectorized and takes longer than decoding the JPEG (docs/performance.md). This
module needs no torch.
"""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass

import numpy as np

from alexnet.ops.build import KernelsMissingError, find_library
from alexnet.ops.compile import RESIZE
from alexnet.ops.instruction_sets import InstructionSet, supported, wanted

MIN_SIDE = 8
"""Minimum width of an image, and minimum side of the result, in pixels."""
Box = tuple[float, float, float, float]
"""(left, upper, right, lower) of a part of an image, in pixels."""


@dataclass(frozen=True)
class Resizer:
    """The loaded resizing kernel."""

    library: ctypes.CDLL

    def resize(
        self,
        pixels: np.ndarray,
        size: tuple[int, int],
        side: int,
        box: Box,
        *,
        columns_first: bool,
    ) -> np.ndarray:
        """Resize the part of an image inside a box to uint8 [side, side, 3].

        Args:
            pixels: uint8 [4 * width * height]; of each four the last one is not used.
            size: width, at least `MIN_SIDE`, and height of the image.
            side: of the result, at least `MIN_SIDE`.
            box: inside the image.
            columns_first: whether the columns are resized before the rows, which are rounded to
                whole numbers in between.

        Raises:
            ValueError: the image has another size, or one that is too small.
            MemoryError: there is not enough memory.
        """
        width, height = size
        if len(pixels) != 4 * width * height or min(width, side) < MIN_SIDE:
            raise ValueError(f"{len(pixels)} bytes of {width} x {height} pixels, to {side}")
        resized = np.empty((side, side, 3), np.uint8)
        sizes = (ctypes.c_long(height), ctypes.c_long(width), (ctypes.c_float * 4)(*box))
        out = ctypes.c_void_p(resized.ctypes.data)
        if not self.library.resize_lanczos(
            ctypes.c_void_p(pixels.ctypes.data),
            *sizes,
            ctypes.c_long(side),
            ctypes.c_int(columns_first),
            out,
        ):
            raise MemoryError
        return resized


def load_resizer() -> Resizer | None:
    """The resizing kernel; None if this CPU has none, or `ALEXNET_KERNELS` is 0.

    Raises:
        UsageError: this CPU does not have the instruction set that `ALEXNET_ISA` names.
    """
    return None if os.environ.get("ALEXNET_KERNELS") == "0" else _load_once()


def sets_to_try() -> list[InstructionSet]:
    """The kernel's instruction sets that this CPU has, from the one `ALEXNET_ISA` names downwards.

    Raises:
        UsageError: this CPU does not have the instruction set that `ALEXNET_ISA` names.
    """
    here = supported()
    allowed = here[here.index(wanted()[0]) :]
    return [isa for isa in allowed if isa.name in RESIZE.instruction_sets]


@functools.cache
def _load_once() -> Resizer | None:
    try:
        return Resizer(find_library(RESIZE, sets).library) if (sets := sets_to_try()) else None
    except KernelsMissingError:
        return None
