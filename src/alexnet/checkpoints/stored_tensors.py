"""Records of where a file of weights keeps its tensors' numbers, which are read when needed.

A checkpoint may hold twice as many numbers for its optimizer as for its network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import prod
from operator import index
from typing import Any

import numpy as np
import torch
from torch import Tensor

ARRAY_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def integers(values: Iterable[Any]) -> tuple[int, ...]:
    """A shape or strides from a file, as a tuple of int.

    Raises:
        TypeError: one of them is no integer.
    """
    return tuple(map(index, values))


@dataclass(frozen=True)
class StorageType:
    """One of torch's storage classes."""

    dtype: torch.dtype | None
    """Type of the numbers; None for quantized ones."""


@dataclass(eq=False)
class Storage:
    """A storage in the file: contiguous numbers, of which several tensors may be views."""

    dtype: torch.dtype | None
    size_bytes: int
    read: Callable[[], bytes]
    """Reads the bytes of the storage from the file."""
    _bytes: bytearray | None = field(default=None, repr=False)

    def tensor(self, dtype: torch.dtype) -> Tensor:
        """All numbers as a vector.

        Raises:
            ValueError: the file has fewer or more bytes than the storage should have.
        """
        if self._bytes is None:
            self._bytes = bytearray(self.read())
        if len(self._bytes) != self.size_bytes:
            raise ValueError(f"has {len(self._bytes):,} of its {self.size_bytes:,} bytes")
        if not self._bytes:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(self._bytes, dtype=dtype)


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A dense tensor of torch in the file: a view of a storage."""

    storage: Storage
    offset: int
    """Index of the first number in the storage."""
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype | None = None
    """The tensor's type, if it is not the storage's."""

    def load(self) -> Tensor:
        """The tensor.

        Raises:
            ValueError: it is not a dense array of real numbers, or lies outside its storage.
        """
        dtype = self.dtype or self.storage.dtype
        if dtype is None or dtype.is_complex:
            raise ValueError("is not a dense array of real numbers")
        numbers = self.storage.tensor(dtype)
        if prod(self.size) > len(numbers):
            raise ValueError(f"claims {prod(self.size):,} numbers and has fewer")
        return numbers.as_strided(self.size, self.stride, self.offset).contiguous()


@dataclass(frozen=True, eq=False)
class OtherTensor:
    """A tensor that cannot be loaded: sparse, nested, quantized or otherwise unusual."""

    size: tuple[int, ...] = ()

    def load(self) -> Tensor:
        """Raise ValueError."""
        raise ValueError("is not a dense array of real numbers")


@dataclass(eq=False)
class StoredArray:
    """A numpy array in the file."""

    size: tuple[int, ...] = ()
    dtype: str = ""
    is_fortran: bool = False
    data: object = b""
    """The array's bytes; a list for an array of objects."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        size, dtype, self.is_fortran, self.data = state[-4:]
        self.size = integers(size)
        self.dtype = dtype.name if isinstance(dtype, ArrayType) else ""

    def load(self) -> Tensor:
        """The array.

        Raises:
            ValueError: it is not an array of real numbers.
        """
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        if self.dtype.lstrip("<>=|") not in ARRAY_DTYPES or not isinstance(data, bytes | bytearray):
            raise ValueError("is not a dense array of real numbers")
        flat = np.frombuffer(data, np.dtype(self.dtype))
        array = flat.reshape(self.size, order="F" if self.is_fortran else "C")
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


class ArrayType:
    """A numpy dtype: "<f4"."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name if isinstance(name, str) else ""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name = f"{state[1]}{self.name}" if isinstance(state[1], str) else ""
