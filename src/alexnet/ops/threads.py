"""The threads of the C kernels: those of the OpenMP that torch brings, with torch or without it."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

from alexnet.ops.cores import num_threads


def kernel_threads() -> int:
    """Threads of a kernel: torch's number; where torch is not loaded, the one it would have."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else num_threads()


def load_torch_openmp() -> None:
    """Load torch's OpenMP before the kernels, which use its threads.

    Torch is not imported where the file is found, which takes milliseconds and not seconds; an
    import of torch later uses the same one.
    """
    if "torch" in sys.modules:
        return
    spec = find_spec("torch")
    folders = spec.submodule_search_locations or () if spec else ()
    for path in (path for folder in folders for path in Path(folder, "lib").glob("lib*omp*.so*")):
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
    import torch  # noqa: F401  (its OpenMP is elsewhere)
