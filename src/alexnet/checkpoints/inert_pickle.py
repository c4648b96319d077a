"""Read a pickle without importing or calling anything that it names.

A checkpoint holds, besides tensors, whatever its trainer kept: options, numpy numbers, paths,
enums, objects of packages that are not installed. Tensors and arrays become records of where their
numbers are (`StoredTensor`, `StoredArray`); dicts, lists, numbers and texts are read as they are;
every other class or function becomes a stand-in (`Inert`) that accepts its arguments and does
nothing.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

import torch

from alexnet.checkpoints.stored_tensors import (
    ArrayType,
    OtherTensor,
    Storage,
    StorageType,
    StoredArray,
    StoredTensor,
    integers,
)

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
"""The element types of torch's storage classes; all other classes hold quantized numbers."""
DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
HOSTILE_MODULES = frozenset(
    ("os", "posix", "nt", "subprocess", "shutil", "socket", "sys", "pty", "importlib", "runpy")
)
HOSTILE_BUILTINS = frozenset(("eval", "exec", "compile", "open", "__import__", "breakpoint"))
"""Functions of `builtins` that no weights need; a file that names one is rejected."""
BLOCK_BYTES = 1 << 16
"""Size up to which a read is not limited to the bytes that the file still has."""
KEY_TYPES = (str, bytes, int, float, complex, type, type(None), torch.dtype)
"""Types, besides `Inert`, of dict keys and of the elements of tuples that are keys."""
KEY_PLACES = {
    pickle.SETITEM[0]: slice(-2, -1),
    pickle.SETITEMS[0]: slice(None, None, 2),
    pickle.DICT[0]: slice(None, None, 2),
    pickle.ADDITEMS[0]: slice(None),
    pickle.FROZENSET[0]: slice(None),
}
"""By pickle opcode, the positions on the unpickler's stack of objects that become keys."""
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

    def __repr__(self) -> str:  # that of its entries can be of any length
        return f"<{type(self).__name__}>"


def _key(key: object) -> object:
    """The key itself, if it is fast to hash and to print, else a stand-in for it.

    To hash a tuple that holds the same tuple twice, and so on for n levels, takes 2^n steps.
    """
    parts = key if isinstance(key, tuple) else (key,)
    return key if all(isinstance(part, (*KEY_TYPES, Inert)) for part in parts) else Inert()


def _with_checked_keys(opcode: int, places: slice) -> Callable[[Any], None]:
    """The unpickler's method for an opcode, with every key passed through `_key` first."""
    load: Callable[[Any], None] = pickle._Unpickler.dispatch[opcode]

    def load_with_checked_keys(unpickler: Any) -> None:
        unpickler.stack[places] = [_key(key) for key in unpickler.stack[places]]
        load(unpickler)

    return load_with_checked_keys


class CheckedOrderedDict(OrderedDict[Any, Any]):
    """An OrderedDict whose keys are passed through `_key` when a pickle builds it of pairs."""

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__((_key(key), value) for key, value in pairs)


class Function:
    """One of our own functions, called in place of the one that the pickle names."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        """Call our function with the pickle's arguments."""
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function has no state")


def _tensor(
    storage: object, offset: int, size: Any, stride: Any, *others: object
) -> StoredTensor | OtherTensor:
    """Stand in for torch's `_rebuild_tensor` and `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage):
        return OtherTensor()
    return StoredTensor(storage, offset, integers(size), integers(stride))


def _typed_tensor(
    storage: Storage, offset: int, size: Any, stride: Any, *others: object
) -> StoredTensor | OtherTensor:
    """Stand in for torch's `_rebuild_tensor_v3`, for dtypes without a storage class."""
    dtype = others[2]
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        return OtherTensor()
    return StoredTensor(storage, offset, integers(size), integers(stride), dtype)


def _of_subclass(function: object, kind: object, arguments: Any, state: object) -> object:
    """Stand in for `_rebuild_from_type_v2`: a tensor of a subclass, or with attributes."""
    return function(*arguments) if isinstance(function, Function) else OtherTensor()


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`: old pickle protocols write bytes as text."""
    return str.encode(text, "latin1")


def _buffer(data: object, dtype: object, size: Any, order: str) -> StoredArray:
    """Stand in for numpy's `_frombuffer`, with which pickle protocol 5 stores an array."""
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
    ("collections", "OrderedDict"): CheckedOrderedDict,
    ("_codecs", "encode"): Function(_encode),
    ("numpy", "ndarray"): StoredArray,
    ("numpy", "dtype"): ArrayType,
    ("numpy.core.multiarray", "_reconstruct"): Function(lambda *_: StoredArray()),
    ("numpy.core.numeric", "_frombuffer"): Function(_buffer),
}
"""Functions and classes that a pickle may name, and what is called for each; every other name
becomes an `Inert`."""


class BoundedFile:
    """A file whose reads allocate no more memory than the file has bytes left."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.readline = file, file.readline
        position = file.tell()
        self._end = file.seek(0, io.SEEK_END)
        file.seek(position)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or as many as there are."""
        if size > BLOCK_BYTES:
            size = min(size, self._end - self._file.tell())
        return self._file.read(size)


class InertUnpickler(pickle._Unpickler):
    """An unpickler for one pickle that runs nothing from it.

    It derives from the unpickler in Python: the one in C allocates memory for the largest memo
    index that a pickle names, which can be any number.

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
        super().__init__(BoundedFile(file), encoding="latin1")  # Python 2 wrote bytes as text
        self._storage, self._from_bytes = storage, storage_from_bytes
        self._stand_ins: dict[tuple[str, str], type[Inert]] = {}

    def load_bytearray8(self) -> None:
        """Read a bytearray; the standard method takes memory for any length before it reads."""
        unpickler: Any = self  # its methods are not in the type stubs
        length = int.from_bytes(unpickler.read(8), "little")
        unpickler.append(bytearray(unpickler.read(length)))

    def load_state(self) -> None:
        """Give an object its state; a class has none, which would change it for later files."""
        unpickler: Any = self
        if isinstance(unpickler.stack[-2], type):
            raise pickle.UnpicklingError("a class has no state")
        pickle._Unpickler.dispatch[pickle.BUILD[0]](unpickler)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_state,
        **{opcode: _with_checked_keys(opcode, places) for opcode, places in KEY_PLACES.items()},
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Our own class or function for a name, or a new subclass of `Inert`."""
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
        if not isinstance(pid[2], str):
            raise pickle.UnpicklingError("the key of a storage is no text")
        return self._storage(*pid[1:])
