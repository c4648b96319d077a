"""The pixels of one of Pillow's RGB images for a C kernel, without a copy where Pillow allows it.

Pillow exports an image whose pixels lie in one block by Arrow's C data interface
(https://arrow.apache.org/docs/format/CDataInterface.html): a list of four bytes for each pixel.
Copying them takes a tenth of the time of decoding and resizing a JPEG.
"""

from __future__ import annotations

import ctypes

import numpy as np
import PIL
from PIL import Image

BYTES_PER_PIXEL = 4
"""Red, green, blue and one that is not used."""
SAFE_PILLOW = 13
"""Major version from which on an image is exported safely; see `shares_pixels`."""
BUFFERS_OF_NUMBERS = 2
"""An Arrow array of numbers has two: the validity bitmap, and the values."""


class _ArrowArray(ctypes.Structure):
    """`struct ArrowArray` of the interface."""


_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    ("dictionary", ctypes.POINTER(_ArrowArray)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
# A prototype of its own: the types of `ctypes.pythonapi.PyCapsule_GetPointer` are everybody's.
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_view_of = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
READ = 0x100
"""`PyBUF_READ`."""


def pixels_of(rgb: Image.Image) -> np.ndarray:
    """Four bytes for each pixel of an RGB image, in rows from the top: uint8 [4 * pixels].

    They are the image's own memory where possible, so the image must outlive them unchanged.
    They are a copy where Pillow is older than 13, or the image too large for one of its blocks
    (16 MB).
    """
    size = rgb.width * rgb.height * BYTES_PER_PIXEL
    address = _address(rgb, size)
    shared = _view_of(address, size, READ) if address else rgb.tobytes("raw", "RGBX")
    return np.frombuffer(shared, np.uint8)


def shares_pixels() -> bool:
    """Whether this Pillow exports images safely.

    From 11.2 to 12 it crashes for an image that was itself made of shared memory
    (`Image.fromarrow`), and does not tell of rows with bytes between them (PILLOW_ALIGNMENT).
    """
    return int(PIL.__version__.partition(".")[0]) >= SAFE_PILLOW


def _address(rgb: Image.Image, size: int) -> int | None:
    """The address of an image's bytes; None if they are not contiguous or cannot be shared."""
    if not shares_pixels():
        return None
    try:
        _, array = rgb.__arrow_c_array__()
    except (ValueError, MemoryError):  # several blocks
        return None
    pixels = _ArrowArray.from_address(_pointer_of(array, b"arrow_array"))
    if pixels.n_children != 1 or pixels.offset:
        return None
    values = pixels.children[0].contents
    if values.length != size or values.offset or values.n_buffers != BUFFERS_OF_NUMBERS:
        return None
    address: int | None = values.buffers[1]
    return address
