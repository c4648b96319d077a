"""The instruction sets that the C kernels are compiled for, and which of them this CPU has.

No module that the wheel's build imports needs more than Python itself: this one and `compile`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import UnknownNameError, UsageError

CPUINFO = Path("/proc/cpuinfo")
AVX2 = ("avx2", "fma", "f16c", "bmi2")
AVX512 = (*AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
AMX = ("amx_tile", "amx_int8", "amx_bf16")
ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
"""Number and arguments of the system call by which a process asks Linux for AMX's tiles (its "Using
XSTATE features")."""


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """An instruction set that the kernels are compiled for, and the CPU flags that it needs."""

    name: str
    cpu_flags: tuple[str, ...] = ()
    """Names of the CPU flags, as Linux has them in /proc/cpuinfo."""

    @property
    def compiler_flags(self) -> tuple[str, ...]:
        """The options of gcc and clang; 512-bit vectors are used only where asked for."""
        joint = {flag: "-" if flag in AMX else "" for flag in self.cpu_flags}
        flags = tuple(f"-m{flag.replace('_', sign)}" for flag, sign in joint.items())
        return (*flags, "-mprefer-vector-width=512") if "avx512f" in self.cpu_flags else flags


INSTRUCTION_SETS = (
    InstructionSet("amx_int8", (*AVX512, "avx512_vnni", "avx512_bf16", *AMX)),
    InstructionSet("avx512_vnni", (*AVX512, "avx512_vnni")),
    InstructionSet("avx512", AVX512),
    InstructionSet("avx_vnni", (*AVX2, "avx_vnni")),
    InstructionSet("avx2", AVX2),
    InstructionSet("baseline"),
)
"""All instruction sets, the fastest first. The last one is what every CPU of its architecture has:
SSE2 on x86-64, NEON on arm64."""


def supported() -> tuple[InstructionSet, ...]:
    """The instruction sets that this CPU has and the system allows, the fastest first."""
    found = cpu_flags()
    if "amx_tile" in found and not may_use_tiles():
        found -= set(AMX)
    return tuple(isa for isa in INSTRUCTION_SETS if found.issuperset(isa.cpu_flags))


def cpu_flags() -> set[str]:
    """The CPU's flags in /proc/cpuinfo; empty where there is no such file."""
    return set(_flags_in(CPUINFO))


@functools.cache
def _flags_in(path: Path) -> frozenset[str]:
    """The CPU flags in a file, read only once: it is long, and every operation asks."""
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    return frozenset(f for line in lines if line.startswith("flags") for f in line.split())


@functools.cache
def may_use_tiles() -> bool:
    """Whether Linux lets this process use AMX tiles; the call asks for that permission.

    It refuses where it is too old, or where the memory for the handlers of signals is too small for
    the tiles. Permission is inherited by child processes.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    request = (ctypes.c_long(word) for word in (ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA))
    refused: int = ctypes.CDLL(None).syscall(*request)
    return refused == 0


def wanted() -> tuple[InstructionSet, ...]:
    """The instruction sets to try in order: all of this CPU, or the one that `$ALEXNET_ISA` names.

    Raises:
        UsageError: there is no such instruction set, or this CPU does not have it.
    """
    here, name = supported(), os.environ.get("ALEXNET_ISA", "")
    if not name:
        return here
    if name not in (isa.name for isa in INSTRUCTION_SETS):
        names = [isa.name for isa in INSTRUCTION_SETS]
        raise UnknownNameError("instruction set in ALEXNET_ISA", name, names)
    if not (chosen := tuple(isa for isa in here if isa.name == name)):
        names_here = ", ".join(isa.name for isa in here)
        raise UsageError(
            f"ALEXNET_ISA is {name}, which this CPU does not have; it has {names_here}"
        )
    return chosen
