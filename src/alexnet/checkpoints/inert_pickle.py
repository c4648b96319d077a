"""Read a pickle without importing or calling anything that it names.

A checkpoint holds, besides tensors, whatever its trainer kept: options, numpy numbers, paths,
enums, objects of packages that are not installed. Tensors and arrays become records of where their
numbers are (`StoredTensor`, `StoredArray`); dicts, lists, numbers and texts are read as they are;
every other class or function becomes a stand-in (`Inert`) that accepts its arguments and does
nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
"""torch's classes of storages; others hold quantized numbers."""
DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
ARRAY_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
HOSTILE_MODULES = frozenset(
    ("os", "posix", "nt", "subprocess", "shutil", "socket", "sys", "pty", "importlib", "runpy")
)
HOSTILE_BUILTINS = frozenset(("eval", "exec", "compile", "open", "__import__", "breakpoint"))
"""Not called either, but a file that names one of these is not worth reading."""
MAX_NAMES = 10_000
"""Classes and functions that one pickle may name."""


class Inert(dict[Any, Any]):
    """Stands in for an instance of a class, or for the result of a function, of another program.

    It keeps entries, as instances of subclasses of dict have them, and the instance's state.
    """

    state: object = None

    def __new__(cls, *arguments: object, **named: object) -> Inert:
        """Accept whatever the class that it stands for accepts."""
        return dict.__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __call__(self, *arguments: object, **named: object) -> Inert:
        """Do nothing, where the pickle calls what it stands for."""
        return Inert()

    append = extend = add = __call__

    def __hash__(self) -> int:  # type: ignore[override]  # keys of dicts may be enums or paths
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(frozen=True)
class StorageType:
    """One of torch's storage classes."""

    dtype: torch.dtype | None
    """None for quantized numbers."""


@dataclass(eq=False)
class Storage:
    """Numbers in the file, one after the other; several tensors may be parts of it."""

    dtype: torch.dtype | None
    size_bytes: int
    read: Callable[[], bytes]
    """Reads them."""
    _bytes: bytearray | None = field(default=None, repr=False)

    def tensor(self, dtype: torch.dtype) -> Tensor:
        """All numbers as a vector.

        Raises:
            ValueError: the file has fewer or more bytes than the storage should have.
        """
        if self._bytes is None:
            self._bytes = bytearray(self.read())
        if len(self._bytes) != self.size_bytes:
            raise ValueError(f"a storage of {self.size_bytes:,} bytes has {len(self._bytes):,}")
        if not self._bytes:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(self._bytes, dtype=dtype)


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor of torch in the file: a part of a storage."""

    storage: Storage
    offset: int
    """Index of the first number in the storage."""
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype | None = None
    """Where it is not the storage's."""

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
    """A sparse, quantized or otherwise unusual tensor."""

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
    """Its bytes; a list for an array of objects."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.size, dtype, self.is_fortran, self.data = state[-4:]
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
        self.name = str(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name = f"{state[1]}{self.name}"


class Function:
    """One of our own functions, called in place of the one that the pickle names."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        """What our function makes of the pickle's arguments."""
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function has no state")


def _tensor(
    storage: object, offset: int, size: Any, stride: Any, *others: object
) -> StoredTensor | OtherTensor:
    """`_rebuild_tensor` and `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage):
        return OtherTensor()
    return StoredTensor(storage, offset, tuple(size), tuple(stride))


def _typed_tensor(
    storage: Storage, offset: int, size: Any, stride: Any, *others: object
) -> StoredTensor | OtherTensor:
    """`_rebuild_tensor_v3`, for types without a storage class of their own."""
    dtype = others[2]
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        return OtherTensor()
    return StoredTensor(storage, offset, tuple(size), tuple(stride), dtype)


def _of_subclass(function: object, kind: object, arguments: Any, state: object) -> object:
    """`_rebuild_from_type_v2`: a tensor of a subclass, or with attributes of its own."""
    return function(*arguments) if isinstance(function, Function) else OtherTensor()


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, which old protocols of pickle write as text."""
    return str.encode(text, "latin1")


def _buffer(data: object, dtype: object, size: Any, order: str) -> StoredArray:
    """An array of pickle's protocol 5."""
    array = StoredArray()
    array.__setstate__((size, dtype, order == "F", data))
    return array


TENSOR_FUNCTIONS: dict[tuple[str, str], object] = {
    ("torch._utils", "_rebuild_tensor"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Function(_typed_tensor),
    ("torch._utils", "_rebuild_parameter"): Function(lambda tensor, *_: tensor),
    ("torch._utils", "_rebuild_parameter_with_state"): Function(lambda tensor, *_: tensor),
    ("torch._utils", "_rebuild_qtensor"): Function(lambda *_: OtherTensor()),
    ("torch._utils", "_rebuild_sparse_tensor"): Function(lambda *_: OtherTensor()),
    ("torch._utils", "_rebuild_nested_tensor"): Function(lambda *_: OtherTensor()),
    ("torch._tensor", "_rebuild_from_type_v2"): Function(_of_subclass),
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): Function(_encode),
    ("numpy", "ndarray"): StoredArray,
    ("numpy", "dtype"): ArrayType,
    ("numpy.core.multiarray", "_reconstruct"): Function(lambda *_: StoredArray()),
    ("numpy.core.numeric", "_frombuffer"): Function(_buffer),
}
"""What a pickle may name, and what is used for it; every other name becomes an `Inert`."""


class InertUnpickler(pickle._Unpickler):
    """Reads one pickle, and runs nothing from it.

    The unpickler in Python: the one in C takes memory for the largest index that a pickle names,
    which can be any number.

    Args:
        file: positioned at the pickle's start; afterwards at its end.
        storage: makes the storage of a persistent id (of its type, key and number of elements).
        storage_from_bytes: reads a storage that lies in the pickle as a file of its own.
    """

    def __init__(
        self,
        file: IO[bytes],
        storage: Callable[..., Storage] | None = None,
        storage_from_bytes: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote bytes as text
        self._storage, self._from_bytes = storage, storage_from_bytes
        self._stand_ins: dict[tuple[str, str], type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Our own class or function for a name, or a new stand-in."""
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) == ("torch.storage", "_load_from_bytes") and self._from_bytes:
            return Function(self._from_bytes)
        if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
            return StorageType(STORAGE_TYPES.get(name))
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        return TENSOR_FUNCTIONS.get((module, name)) or self._stand_in(module, name)

    def _stand_in(self, module: str, name: str) -> type[Inert]:
        top = module.partition(".")[0]
        if top in HOSTILE_MODULES or (top == "builtins" and name in HOSTILE_BUILTINS):
            raise pickle.UnpicklingError(f"it would call {module}.{name}, as no weights need to")
        if len(self._stand_ins) >= MAX_NAMES:
            raise pickle.UnpicklingError(f"it names more than {MAX_NAMES:,} classes")
        if (module, name) not in self._stand_ins:
            self._stand_ins[module, name] = type(name, (Inert,), {"__module__": module})
        return self._stand_ins[module, name]

    def persistent_load(self, pid: Any) -> object:
        """The storage of a persistent id; a stand-in for anything else."""
        is_storage = isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"
        if not is_storage or self._storage is None or not isinstance(pid[1], StorageType):
            return Inert()
        return self._storage(*pid[1:])
