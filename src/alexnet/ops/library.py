"""The C kernels: found, loaded and called.

The wrapper of each kernel is in the module of the only layer that calls it. Without a C compiler
the layers compute in torch alone: slower, with the same results within the tolerance that tests
state, and without int8 inference.
"""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.errors import UsageError
from alexnet.ops.build import build_library

SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""End of a kernel's name, for each tensor type that it is compiled for."""


@dataclass(frozen=True)
class KernelLibrary:
    """The compiled kernels of this machine."""

    library: ctypes.CDLL
    compiler: str
    """First line of the compiler's `--version`."""

    def call(self, kernel: str, *arguments: Tensor | float | tuple[int, ...]) -> int:
        """Call a C function with torch's number of threads as its last argument.

        Args:
            kernel: the function's name.
            arguments: a tensor is passed as a pointer to its memory, an int as long, a float as
                float, and a tuple as a pointer to a struct of longs.

        Raises:
            ValueError: a tensor is not on the CPU.
        """
        threads = ctypes.c_int(torch.get_num_threads())
        result: int = getattr(self.library, kernel)(*map(_c_value, arguments), threads)
        return result

    @functools.cached_property
    def int8_output_block(self) -> int:
        """Outputs in a block of packed int8 weights; 0 where the CPU has no int8 dot products."""
        return int(self.library.int8_output_block())

    def __reduce__(self) -> tuple[object, tuple[int]]:
        """Layers can be copied and pickled; unpickled they use the kernels of that machine."""
        return load_compatible_kernels, (self.int8_output_block,)


def _c_value(value: Tensor | float | tuple[int, ...]) -> object:
    if isinstance(value, Tensor):
        if value.device.type != "cpu":
            raise ValueError(f"the C kernels compute on the CPU, not on {value.device}")
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, tuple):
        return (ctypes.c_long * len(value))(*value)
    return ctypes.c_long(value) if isinstance(value, int) else ctypes.c_float(value)


def check_float32(*tensors: Tensor) -> None:
    """Reject other types, whose memory a C kernel would misread (after `network.half()`, say).

    Raises:
        ValueError: a tensor is not float32.
    """
    for x in tensors:
        if x.dtype != torch.float32:
            raise ValueError(f"an optimized layer computes with float32, not {x.dtype}")


def load_kernels() -> KernelLibrary | None:
    """The kernels of this machine, built now if they are not in the cache; None without a compiler.

    While the environment variable `ALEXNET_KERNELS` is 0, there are none.
    """
    return None if os.environ.get("ALEXNET_KERNELS") == "0" else _load_once()


@functools.cache
def _load_once() -> KernelLibrary | None:
    built = build_library()
    return built and KernelLibrary(*built)


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
    """What computes the kernels' operations here: the compiler's name and version, or "torch"."""
    kernels = load_kernels()
    return "torch" if kernels is None else kernels.compiler
