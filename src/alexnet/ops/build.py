"""The library of `kernels*.c`, built with the machine's C compiler.

Built once for a processor and a compiler, and kept in the cache folder.
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

NAMES = "kernels.h", "kernels.c", "kernels_bytes.c", "kernels_views.c"
HEADER, *SOURCES = (Path(__file__).parent / "csrc" / name for name in NAMES)
FLAGS = ("-O3", "-march=native", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
WIDE = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
"""Compilers that do not know a processor take it for one whose widest vectors do not pay."""
THREADS = ("-fopenmp", "")
"""Tried in this order. The threads are those of torch, which has loaded its own OpenMP already:
nothing is linked, so that no second pool of threads runs beside torch's."""
BUILD_SECONDS = 60


def library() -> tuple[ctypes.CDLL, str] | None:
    """The library and the compiler's first line about itself; None where it can't be built."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or os.name != "posix":
        return None
    for threads, wide in itertools.product(THREADS, (WIDE, ())):
        flags = [flag for flag in (*FLAGS, *wide, threads) if flag]
        try:
            name = _first_line(compiler, "--version")
            loaded = _load(_built(compiler, name, flags))
        except (OSError, subprocess.SubprocessError):
            continue  # it does not know a flag, or does not work, or has no folder for the result
        if loaded is not None:
            return loaded, name
    return None


def _built(compiler: str, name: str, flags: list[str]) -> Path:
    """The library's path in the cache; built aside and renamed when it is not there."""
    code = b"".join(path.read_bytes() for path in (HEADER, *SOURCES))
    content = (code, name, flags, platform.machine(), _processor())
    digest = hashlib.blake2b(repr(content).encode(), digest_size=12).hexdigest()
    target = cache_folder() / "kernels" / f"{digest}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
            objects = [str(Path(folder) / f"{path.stem}.o") for path in SOURCES]
            for path, made in zip(SOURCES, objects, strict=True):
                _run(compiler, *flags, "-c", str(path), "-o", made)
            aside = Path(folder) / "kernels.so"
            _run(compiler, "-shared", *LINK, *objects, "-o", str(aside), "-lm")
            aside.replace(target)
    return target


LINK = ("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ()
"""Names of OpenMP are looked for in what is loaded already."""


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # a name of OpenMP that torch's library does not have
        return None


def _run(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=BUILD_SECONDS
    ).stdout


def _first_line(*command: str) -> str:
    return _run(*command).partition("\n")[0].strip()


def _processor() -> str:
    """What decides the machine code of -march=native."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
