"""The device to compute on, and the data type of its matrix products."""

from __future__ import annotations

import errno
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from alexnet.config.recipe import Precision
from alexnet.errors import UsageError
from alexnet.ops.tracing import no_autocast

NumberType: TypeAlias = Literal["float32", "bf16", "fp16"]
"""Type of numbers of matrix products."""
DTYPES: dict[NumberType, torch.dtype] = {
    "float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
}  # fmt: skip
WITHOUT_TENSOR_CORES = re.compile(r"\b(GTX 16\d\d|MX ?[45]50|T(400|500|550|600|1000|1200|2000))\b")
"""Names of Turing GPUs without tensor cores. Other programs do not use fp16 on them, since some of
them compute NaN in it (`check_amp` of Ultralytics)."""
TF32_SETTINGS = threading.RLock()
"""Lock that is held while the settings of TF32, which are the whole process's, are changed."""


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16 matrix products, and torch uses them.

    With `ONEDNN_MAX_CPU_ISA=AVX2` oneDNN, and so torch, does not use the instructions of a CPU.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):  # torch asks the current one
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if not any(getattr(torch.cpu, probe, lambda: False)() for probe in probes):
            return False
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def has_float64(device: torch.device) -> bool:
    """Whether the device has float64; Apple's GPUs and some of Intel's have none."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"


def to_float64(x: Tensor) -> Tensor:
    """The values in float64, on the CPU if the device of `x` has none."""
    return (x if has_float64(x.device) else x.cpu()).double()


def has_only_fp16(device: torch.device) -> bool:
    """Whether a GPU has tensor cores for fp16 and not for bf16: Volta (V100) and Turing (T4)."""
    if device.type != "cuda" or has_bf16(device):
        return False
    is_between = (7, 0) <= torch.cuda.get_device_capability(device) < (8, 0)
    return is_between and not WITHOUT_TENSOR_CORES.search(torch.cuda.get_device_name(device))


def number_type(device: torch.device, precision: Precision) -> NumberType:
    """The type of a precision on a device; `auto` is bf16, fp16 or float32, as the hardware has."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp16" if has_only_fp16(device) else "float32"


def compute_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """The torch dtype of matrix products, that of `number_type`."""
    return DTYPES[number_type(device, precision)]


def slow_type_note(device: torch.device, precision: Precision) -> str:
    """A note that the device is slow in the type that was asked for; "" if it is not."""
    best = number_type(device, "auto")
    if device.type not in ("cpu", "cuda") or precision in ("auto", best):
        return ""
    name = "GPU" if device.type == "cuda" else "CPU"
    if precision == "bf16":
        advice = "uses its tensor cores" if best == "fp16" else "is faster"
        return (
            f"this {name} has no instructions for bf16, which torch emulates, slowly: "
            f"--precision {best} {advice}"
        )
    if precision == "fp16" and device.type == "cpu":
        return f"fp16 is meant for GPUs, and slow on a CPU: --precision {best} is faster"
    return ""


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which matrix products are computed in `compute_dtype`."""
    dtype = compute_dtype(device, precision)
    is_half = dtype != torch.float32
    return torch.autocast(device.type, dtype if is_half else torch.bfloat16, enabled=is_half)


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """A context in which float32 is neither rounded to TF32 nor cast to a shorter type.

    By torch's default, NVIDIA GPUs since Ampere compute float32 convolutions in TF32, whose
    mantissa has 10 bits.
    """
    with no_autocast(device.type):
        if device.type != "cuda":
            yield
            return
        with TF32_SETTINGS, _without_tf32():
            yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # not annotated
    matmul = torch.backends.cuda.matmul
    before = conv.fp32_precision, matmul.fp32_precision
    older = _older_matmul_setting()
    if older:
        torch.set_float32_matmul_precision("highest")
    conv.fp32_precision = matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        if older:
            torch.set_float32_matmul_precision(older)
        conv.fp32_precision, matmul.fp32_precision = before


def _older_matmul_setting() -> str:
    """The older of torch's settings of TF32; "" if torch raises an error when it is read.

    It does after the newer setting was changed. If both agree, both are changed, as torch requires.
    """
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return ""


@contextmanager
def float32_default() -> Iterator[None]:
    """A context in which torch's default dtype is float32; it is restored at the end."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the random generator of a device, from which dropout draws.

    `torch.manual_seed` does the same for every kind of device there is, and formats a stack trace
    for each that is not in use: .2 ms a call on a CPU.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU if there is one, else the CPU.

    The first time that a device is chosen, it has to compute something. "auto" is the CPU, with a
    warning, where a GPU does not: one that this torch has no kernels for, or that is taken.

    Raises:
        UsageError: there is no such device, or it does not compute.
    """
    if name == "auto":
        if problem := gpu_problem():  # from one line of code, so that Python shows it once
            warnings.warn(f"the GPU cannot be used, so the CPU is: {problem}", stacklevel=1)
        has_gpu = torch.cuda.is_available() and not problem
        return torch.device("cuda" if has_gpu else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        gpu = re.fullmatch(r"(?:gpu|cuda|nvidia)?[ :]?(\d*)", str(name).strip().lower())
        meant = "cpu" if not (gpu and name) else f"cuda:{gpu[1]}" if gpu[1] else "cuda"
        raise UsageError(f"device {name!r} cannot be used here; try --device {meant}") from error
    if problem := device_problem(device):
        raise UsageError(f"device {name!r} cannot be used here; try --device cpu ({problem})")
    return device


def gpu_problem() -> str:
    """Why the GPU of this process cannot be used; "" if it can, or if torch sees none."""
    return device_problem(torch.device("cuda")) if torch.cuda.is_available() else ""


@cache
def device_problem(device: torch.device) -> str:
    """The reason why a device cannot compute; "" if it can, or if its memory is full."""
    return _find_problem(device)


def _find_problem(device: torch.device) -> str:
    if device.type not in ("cpu", "cuda", "mps", "xpu"):
        return f"{device.type} is no device that computes"
    try:
        compute_something(device)
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:
        return "" if is_out_of_memory(error) else re.split(r"\n|\. ", str(error))[0]
    return ""


def lasting_problem(device: torch.device, error: RuntimeError) -> str:
    """The reason why a device cannot compute any more after an error; "" if it can.

    After some errors of CUDA every call fails until the process ends.
    """
    if device.type == "cpu" or is_out_of_memory(error):
        return ""
    return _find_problem(device)


def compute_something(device: torch.device) -> None:
    """Run a kernel on a device, and wait for its result.

    Raises:
        RuntimeError: the device cannot run it.
    """
    torch.zeros(1, device=_own_gpu(device)).add_(1).item()


def _own_gpu(device: torch.device) -> torch.device:
    """The GPU that "cuda" will mean in this process; any other device unchanged.

    Each of the processes that were started together has its own GPU (`device_of_rank`), and does
    not allocate memory on the others.
    """
    if device != torch.device("cuda") or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return device
    index = int(os.environ.get("LOCAL_RANK", 0))
    return torch.device("cuda", index if index < torch.cuda.device_count() else 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of a device or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
