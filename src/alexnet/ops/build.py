"""The C kernels (`csrc/`), compiled with the machine's C compiler.

They are compiled once for a CPU and a compiler, and kept in the cache folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from alexnet.io.paths import cache_folder

FILE_NAMES = ("kernels.h", "norms.c", "winograd.c", "int8.c", "crop_normalize.c")
HEADER, *SOURCES = (Path(__file__).parent / "csrc" / name for name in FILE_NAMES)
FLAGS = ("-O3", "-march=native", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
WIDE_VECTORS = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
"""A compiler that does not know the CPU model assumes that its widest vectors are slow."""
OPENMP = ("-fopenmp", "")
"""Tried in this order. The threads are torch's, which has loaded its own OpenMP already: nothing
is linked, so that no second thread pool runs beside torch's."""
LINK = ("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ()
"""OpenMP's symbols are looked up in what is loaded already."""
TIMEOUT_SECONDS = 60
"""For each call of the compiler."""


def build_library(flags: tuple[str, ...] = FLAGS) -> tuple[ctypes.CDLL, str] | None:
    """The library and the first line of `cc --version`; None where it cannot be built."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or os.name != "posix":
        return None
    for openmp, wide in itertools.product(OPENMP, (WIDE_VECTORS, ())):
        options = [flag for flag in (*flags, *wide, openmp) if flag]
        try:
            version = _first_line(compiler, "--version")
            library = _load(_compile(compiler, version, options))
        except (OSError, subprocess.SubprocessError):
            continue  # an unknown flag, a broken compiler, or no folder for the result
        if library is not None:
            return library, version
    return None


def _compile(compiler: str, version: str, flags: list[str]) -> Path:
    """The library's path in the cache; compiled there under another name first if it is missing."""
    code = b"".join(path.read_bytes() for path in (HEADER, *SOURCES))
    content = (code, version, flags, platform.machine(), _cpu_features())
    digest = hashlib.blake2b(repr(content).encode(), digest_size=12).hexdigest()
    target = cache_folder() / "kernels" / f"{digest}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
            objects = [str(Path(folder) / f"{path.stem}.o") for path in SOURCES]
            for source, compiled in zip(SOURCES, objects, strict=True):
                _run(compiler, *flags, "-c", str(source), "-o", compiled)
            temporary = Path(folder) / "kernels.so"
            _run(compiler, "-shared", *LINK, *objects, "-o", str(temporary), "-lm")
            temporary.replace(target)
    return target


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # it needs an OpenMP symbol that torch's library does not have
        return None


def _run(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    ).stdout


def _first_line(*command: str) -> str:
    return _run(*command).partition("\n")[0].strip()


def _cpu_features() -> str:
    """What the machine code of -march=native depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
