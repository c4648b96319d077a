"""A library of C kernels for this CPU: from the package, from the cache, or compiled now.

A wheel that was built where there was a C compiler has them for several instruction sets
(`prebuilt/`). Otherwise they are compiled once for a compiler and an instruction set, and kept in
the cache folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder
from alexnet.io.text import error_text
from alexnet.ops.compile import (
    FLAGS,
    HEADERS,
    LibrarySource,
    compile_library,
    find_compiler,
    openmp_flags,
    run,
)
from alexnet.ops.instruction_sets import InstructionSet

PREBUILT = Path(__file__).parent / "prebuilt"
"""Folder of the libraries that came with the package; NAME.so is for the instruction set NAME."""


class KernelsMissingError(Exception):
    """No C kernels can be used on this machine; the message says why, and what helps."""


@dataclass(frozen=True)
class BuiltLibrary:
    """A library of kernels that is loaded."""

    library: ctypes.CDLL
    instruction_set: str
    is_prebuilt: bool


def find_library(source: LibrarySource, wanted: Sequence[InstructionSet]) -> BuiltLibrary:
    """The kernels for the first instruction set in `wanted` for which there are any.

    Args:
        source: which of the libraries.
        wanted: the instruction sets, each one of those that the library is compiled for.

    Raises:
        KernelsMissingError: the package has none for them, and none can be compiled.
    """
    for isa in wanted:
        if library := load_library(PREBUILT / source.prebuilt_name(isa)):
            return BuiltLibrary(library, isa.name, is_prebuilt=True)
    return build_library(source, wanted)


def build_library(source: LibrarySource, wanted: Sequence[InstructionSet]) -> BuiltLibrary:
    """The kernels from the cache, compiled there first if they are missing.

    Raises:
        KernelsMissingError: they cannot be compiled.
    """
    if os.name != "posix":
        raise KernelsMissingError("they are not built for Windows, but under WSL they are")
    if not (compiler := find_compiler()):
        missing = os.environ.get("CC", "").strip() or "cc, gcc or clang"
        raise KernelsMissingError(
            f"there is no C compiler ({missing}); install one (apt install gcc, dnf install gcc, "
            "or on macOS xcode-select --install)"
        )
    failure = "its result cannot be loaded"
    try:
        version = run(*compiler, "--version").partition("\n")[0]
        threads = dict.fromkeys((openmp_flags(version), ()) if source.has_openmp else ((),))
        for openmp, isa in product(threads, wanted):
            try:
                path = compile_once(source, compiler, version, isa, openmp)
            except subprocess.CalledProcessError as error:  # it does not know an option
                failure = _complaint(error)
                continue
            if library := load_library(path):
                return BuiltLibrary(library, isa.name, is_prebuilt=False)
    except subprocess.CalledProcessError as error:
        failure = _complaint(error)
    except (OSError, subprocess.SubprocessError) as error:
        failure = error_text(error)
    raise KernelsMissingError(f"the C compiler {compiler[0]} cannot compile them: {failure}")


def _complaint(error: subprocess.CalledProcessError) -> str:
    first_line = error.stderr.strip().partition("\n")[0]
    return error_text(first_line or f"exit code {error.returncode}")


def compile_once(
    source: LibrarySource,
    compiler: Sequence[str],
    version: str,
    isa: InstructionSet,
    openmp: Sequence[str],
) -> Path:
    """The library of this source code, compiler and flags in the cache, compiled if missing.

    Raises:
        OSError, subprocess.SubprocessError: as `compile_library`.
    """
    code = b"".join(path.read_bytes() for path in (*HEADERS, *source.paths))
    words = tuple(compiler[1:])  # of CC="gcc -O0", say
    content = (code, version, words, FLAGS, isa.compiler_flags, tuple(openmp), platform.machine())
    digest = hashlib.blake2b(repr(content).encode(), digest_size=12).hexdigest()
    path = cache_folder() / "kernels" / f"{digest}.so"
    if not path.exists() or _is_blank(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        compile_library(source, compiler, isa, openmp, path)
    mark_used(path)
    return path


def _is_blank(path: Path) -> bool:
    """Whether a file begins with zeros or is empty, as a power failure may leave it."""
    with path.open("rb") as file:
        return not any(file.read(4))


def load_library(path: Path) -> ctypes.CDLL | None:
    """The loaded library; None if the file, its OpenMP or its libc is missing."""
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None
