"""The C kernels: found, loaded and called, with or without torch.

The wrapper of each kernel is in the module of the only layer that calls it; those of int8 inference
are in `inference/int8_kernels.py`. Without kernels (where the package brings none and there is no C
compiler) the layers compute in torch alone: slower, with the same results within the tolerance that
tests state, and without int8 inference.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from alexnet.errors import UsageError
from alexnet.ops.build import KernelsMissingError, find_library
from alexnet.ops.compile import KERNELS, find_compiler
from alexnet.ops.instruction_sets import InstructionSet, supported, wanted
from alexnet.ops.threads import kernel_threads, load_torch_openmp

if TYPE_CHECKING:
    from torch import Tensor

Argument: TypeAlias = "Tensor | np.ndarray | float | tuple[int, ...] | None"


@dataclass(frozen=True)
class KernelLibrary:
    """The compiled kernels of this machine."""

    library: ctypes.CDLL
    instruction_set: str
    """Name of the instruction set of the kernels, as in `instruction_sets.INSTRUCTION_SETS`."""
    is_prebuilt: bool
    """Whether the kernels came with the package; otherwise they were compiled on this machine."""

    @functools.cached_property
    def compiler(self) -> str:
        """Name and version of the compiler that made them, such as "gcc 12.2.0"."""
        self.library.kernels_compiler.restype = ctypes.c_char_p
        return str(self.library.kernels_compiler().decode()).strip()

    @functools.cached_property
    def has_openmp(self) -> bool:
        """Whether they use torch's threads; otherwise they use one."""
        return bool(self.library.kernels_have_openmp())

    def call(self, kernel: str, *arguments: Argument) -> int:
        """Call a C function with torch's number of threads as its last argument.

        Args:
            kernel: the function's name.
            arguments: a tensor or an array is passed as a pointer to its memory, None as a null
                pointer, an int as long, a float as float, and a tuple as a pointer to a struct of
                longs.

        Raises:
            ValueError: a tensor is not on the CPU, or has numbers of 64 bits, which no kernel reads
                as such: floats that were made of whole numbers, say.
        """
        threads = ctypes.c_int(kernel_threads())
        result: int = getattr(self.library, kernel)(*map(_c_value, arguments), threads)
        return result

    @functools.cached_property
    def int8_output_block(self) -> int:
        """Outputs in a block of packed int8 weights; 0 where the CPU has no int8 dot products."""
        return int(self.library.int8_output_block())

    @functools.cached_property
    def has_bf16_tiles(self) -> bool:
        """Whether the kernels multiply bf16 in AMX tiles."""
        return bool(self.library.has_bf16_tiles())

    def __reduce__(self) -> tuple[object, tuple[int]]:
        """Pickle as a call of `load_compatible_kernels`, which loads that machine's kernels."""
        return load_compatible_kernels, (self.int8_output_block,)


def _c_value(value: Argument) -> object:
    if value is None:
        return ctypes.c_void_p()
    if isinstance(value, tuple):
        return (ctypes.c_long * len(value))(*value)
    if isinstance(value, int):
        return ctypes.c_long(value)
    if isinstance(value, float):
        return ctypes.c_float(value)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    if not value.is_cpu:  # `device.type` takes six times as long
        raise ValueError(f"the C kernels compute on the CPU, not on {value.device}")
    if value.element_size() > 4:
        raise ValueError(f"the C kernels do not compute with {value.dtype}")
    return ctypes.c_void_p(value.data_ptr())


def load_kernels() -> KernelLibrary | None:
    """The kernels of this machine, compiled now if they are neither in the package nor the cache.

    None where there are none, and while the environment variable `ALEXNET_KERNELS` is 0.
    `ALEXNET_ISA` names the instruction set to use instead of the fastest that the CPU has.

    Raises:
        UsageError: this CPU does not have the instruction set in `ALEXNET_ISA`.
    """
    return _search()[0]


def _search() -> tuple[KernelLibrary | None, str]:
    if os.environ.get("ALEXNET_KERNELS") == "0":
        return None, "ALEXNET_KERNELS is 0"
    return _search_once(wanted())


@functools.cache
def _search_once(sets: tuple[InstructionSet, ...]) -> tuple[KernelLibrary | None, str]:
    load_torch_openmp()
    try:
        built = find_library(KERNELS, sets)
    except KernelsMissingError as error:
        return None, str(error)
    return KernelLibrary(built.library, built.instruction_set, built.is_prebuilt), ""


def call_kernel(kernel: str, *arguments: Argument) -> None:
    """Call one of this machine's kernels that needs memory of its own; see `KernelLibrary.call`.

    Raises:
        MemoryError: there is not enough of it.
    """
    kernels = load_kernels()
    assert kernels
    if kernels.call(kernel, *arguments):
        raise MemoryError(f"no memory for the buffers of {kernel}")


def load_compatible_kernels(int8_output_block: int) -> KernelLibrary:
    """The kernels of this machine, for layers that may have been optimized on another one.

    Raises:
        UsageError: the kernels here read int8 weights in another order.
    """
    kernels = load_kernels()
    if kernels is None or kernels.int8_output_block != int8_output_block:
        raise UsageError(
            "this network was optimized on another kind of CPU: "
            "load its run here, and call optimized() again"
        )
    return kernels


def describe_kernels() -> str:
    """What computes the kernels' operations: compiler and instruction set, or "torch"."""
    kernels = load_kernels()
    if kernels is None:
        return "torch"
    threads = "" if kernels.has_openmp else ", one thread"
    return f"{kernels.compiler}, {kernels.instruction_set}{threads}"


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelSearch:
    """Where the kernels come from or why there are none, and what decides that."""

    kernels_from: str
    kernels_openmp: bool
    """Whether the C kernels use several threads."""
    instruction_sets: tuple[str, ...]
    """The instruction sets that the CPU has and kernels are made for, the fastest first."""
    c_compiler: str


def describe_search() -> KernelSearch:
    """Where the kernels come from, for `alexnet doctor`."""
    kernels, reason = _search()
    here = "the package" if kernels and kernels.is_prebuilt else "compiled on this machine"
    return KernelSearch(
        kernels_from=here if kernels else f"none: {reason}",
        kernels_openmp=bool(kernels and kernels.has_openmp),
        instruction_sets=tuple(isa.name for isa in supported()),
        c_compiler=" ".join(find_compiler()) or "none",
    )


def kernels_note() -> str:
    """The reason why computations on this CPU are slow for lack of kernels; "" if they are not."""
    kernels, reason = _search()
    if kernels is None and os.environ.get("ALEXNET_KERNELS") != "0":
        return f"training and inference on the CPU are slower without the C kernels: {reason}"
    if kernels is not None and not kernels.has_openmp:
        better = "gcc" if platform.system() == "Linux" else "a compiler with OpenMP"
        return (
            f"the C kernels use one thread, as {kernels.compiler} compiled them without torch's "
            f"OpenMP; with {better} they use all"
        )
    return ""
