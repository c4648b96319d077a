"""Compiles the C kernels (`csrc/`) for one instruction set, or for all of them into a wheel.

It needs nothing but Python, because the wheel's build (`hatch_build.py`) imports it, too.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from alexnet.ops.cores import num_cores
from alexnet.ops.instruction_sets import INSTRUCTION_SETS, InstructionSet

CSRC = Path(__file__).parent / "csrc"
HEADERS = tuple(sorted(CSRC.glob("*.h")))


@dataclass(frozen=True, slots=True)
class LibrarySource:
    """C files that are compiled into one library."""

    prefix: str
    """Beginning of the library's file name in a wheel; the name of the instruction set follows."""
    files: tuple[str, ...]
    """Names of the files in `csrc`; each includes the header."""
    instruction_sets: tuple[str, ...]
    """Names of the instruction sets for which the library is compiled."""
    has_openmp: bool
    """Whether its loops use torch's threads, so that torch has to be loaded before it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of the C files."""
        return tuple(CSRC / name for name in self.files)

    def prebuilt_name(self, isa: InstructionSet) -> str:
        """The name of the library's file in a wheel."""
        return f"{self.prefix}{isa.name}.so"


KERNELS = LibrarySource(
    prefix="",
    files=(
        "about.c", "relu_norm_pool.c", "norms.c", "norm_within_channel.c", "batch_norm.c",
        "winograd.c", "weight_only.c", "quantize.c", "int8.c", "crop_normalize.c", "resize_crop.c",
        "pixel_blocks.c", "tile_conv.c", "tile_conv_gradients.c", "tile_linear.c", "optimizers.c",
    ),
    instruction_sets=tuple(isa.name for isa in INSTRUCTION_SETS),
    has_openmp=True,
)  # fmt: skip
"""The library that networks and augmentation compute with."""
RESIZE = LibrarySource(
    "resize-", ("resize.c",), ("avx512_vnni", "avx_vnni", "avx2"), has_openmp=False
)
"""The library that resizes decoded images, in threads of its caller and without torch."""
LIBRARIES = (KERNELS, RESIZE)
FLAGS = ("-O3", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
LINK = ("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ()
"""Linker options: on macOS, OpenMP's functions are looked up in the libraries loaded already."""
TIMEOUT_SECONDS = 300
"""Time limit of each call of the compiler, which takes 10 seconds on a free core."""


def find_compiler() -> tuple[str, ...]:
    """The command of the C compiler: `$CC`, or else cc, gcc or clang; empty if there is none."""
    given = os.environ.get("CC", "")
    commands = [shlex.split(given)] if given.strip() else [["cc"], ["gcc"], ["clang"]]
    return next((tuple(words) for words in commands if shutil.which(words[0])), ())


def openmp_flags(version: str) -> tuple[str, ...]:
    """The OpenMP options of the compiler with this `--version`; empty without a matching OpenMP.

    The threads are torch's, which has loaded its own OpenMP already: GNU's on Linux, LLVM's on
    macOS. Nothing is linked, so that no second thread pool runs beside torch's; so only the
    compiler of the same OpenMP can use them.
    """
    is_clang, is_mac = "clang" in version.lower(), platform.system() == "Darwin"
    if is_clang != is_mac:
        return ()
    return ("-Xpreprocessor", "-fopenmp") if is_mac else ("-fopenmp",)  # Apple's clang needs both


def compile_library(
    source: LibrarySource,
    compiler: Sequence[str],
    isa: InstructionSet,
    openmp: Sequence[str],
    target: Path,
) -> None:
    """Compile a library into `target`, which appears only when it is complete.

    Args:
        source: its C files.
        compiler: as `find_compiler` gives it.
        isa: what the CPU has to have.
        openmp: as `openmp_flags` gives it, or nothing for one thread.
        target: the library to make, in a folder that exists.

    Raises:
        OSError: the compiler cannot be run, or the file cannot be written.
        subprocess.SubprocessError: the compiler failed, on an option that it does not know, say.
    """
    command = (*compiler, *FLAGS, *isa.compiler_flags, *openmp)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        with ThreadPoolExecutor(num_cores()) as pool:
            objects = list(pool.map(partial(compile_file, command, Path(folder)), source.paths))
        temporary = Path(folder) / "kernels.so"
        run(*compiler, "-shared", *LINK, *objects, "-o", str(temporary), "-lm")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # else a power failure may leave an empty file of that name
        temporary.replace(target)


def compile_file(command: Sequence[str], folder: Path, path: Path) -> str:
    """Compile one C file into `folder`; return the path of the object file."""
    compiled = str(folder / f"{path.stem}.o")
    run(*command, "-c", str(path), "-o", compiled)
    return compiled


def run(*command: str) -> str:
    """Run a command and return its stdout.

    Raises:
        OSError: it cannot be run.
        subprocess.SubprocessError: it failed or took too long.
    """
    return subprocess.run(
        command, check=True, capture_output=True, text=True, errors="replace",
        encoding="utf-8", timeout=TIMEOUT_SECONDS,
    ).stdout  # fmt: skip


def compile_all(folder: Path) -> list[Path]:
    """Compile every library for every instruction set that the compiler knows, for a wheel.

    Returns:
        `folder`/NAME.so for each; an empty list where nothing can be compiled.
    """
    compiler = find_compiler()
    if not compiler or os.name != "posix":
        return []
    openmp = openmp_flags(run(*compiler, "--version"))
    made = []
    for source, isa in product(LIBRARIES, INSTRUCTION_SETS):
        if isa.name not in source.instruction_sets:
            continue
        target = folder / source.prebuilt_name(isa)
        try:
            compile_library(source, compiler, isa, openmp if source.has_openmp else (), target)
        except (OSError, subprocess.SubprocessError):
            continue  # an instruction set of other CPUs, or one that the compiler does not know
        made.append(target)
    return made
