"""Choosing a device, and the data type of its matrix products."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.runtime import device as module
from alexnet.runtime.device import (
    autocast,
    choose_device,
    compute_dtype,
    exact_float32,
    is_out_of_memory,
    number_type,
    seed_device,
    slow_type_note,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NO_KERNEL = "CUDA error: no kernel image is available for execution on the device"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.device]]:
    """The devices that have computed something, on a machine with a GPU that does."""
    devices: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(module, "compute_something", devices.append)
    module.device_problem.cache_clear()
    yield devices
    module.device_problem.cache_clear()


def test_auto_is_the_gpu_if_there_is_one(
    tried: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It computes something once."""
    assert [choose_device("auto") for _ in range(2)] == [GPU, GPU]
    assert tried == [GPU]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU


@pytest.mark.parametrize("error", [
    RuntimeError(f"{NO_KERNEL}\nSearch for `cudaErrorNoKernelImageForDevice' in .."),
    RuntimeError(f"{NO_KERNEL}. This could be because the operator does not exist"),
    torch.cuda.DeferredCudaCallError(NO_KERNEL),
])  # fmt: skip
def test_a_gpu_that_does_not_compute(
    error: Exception, tried: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no device is named that is the CPU, which is told."""

    def fail(device: torch.device) -> None:
        raise error

    monkeypatch.setattr(module, "compute_something", fail)
    with pytest.warns(UserWarning, match=f"^the GPU cannot be used, so the CPU is: {NO_KERNEL}$"):
        assert choose_device("auto") == CPU
    assert module.gpu_problem() == NO_KERNEL
    told = rf"^device 'cuda:1' cannot be used here; try --device cpu \({NO_KERNEL}\)$"
    with pytest.raises(UsageError, match=told):
        choose_device("cuda:1")


def test_a_gpu_whose_memory_is_full_is_not_left_for_the_cpu(
    tried: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(device: torch.device) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(module, "compute_something", fail)
    assert choose_device("auto") == GPU


@pytest.mark.parametrize(
    ("rank", "size", "expected"), [("1", "2", "cuda:1"), ("2", "4", "cuda:0"), ("1", "1", "cuda")]
)
def test_a_process_tries_the_gpu_that_it_will_have(
    rank: str, size: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one that each process sees alone, that is the first."""
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert module._own_gpu(GPU) == torch.device(expected)
    assert module._own_gpu(CPU) == CPU


def test_bf16_is_that_of_the_device_and_not_of_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    current = [torch.device("cuda:0")]

    @contextmanager
    def set_current(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", set_current)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1].index == 1
    )
    assert module.has_bf16(torch.device("cuda:1"))
    assert not module.has_bf16(torch.device("cuda:0"))


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:97", ""])
def test_a_device_that_cannot_be_used(name: str) -> None:
    with pytest.raises(UsageError, match=f"^device '{name}' cannot be used here; try --device cpu"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gpu", "cuda"), ("0", "cuda:0"), ("cuda 1", "cuda:1"), ("GPU:2", "cuda:2"), ("CUDA", "cuda")],
)
def test_what_a_gpu_is_called(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"^device '{name}' cannot .* try --device {meant}$"):
        choose_device(name)


@pytest.mark.parametrize(
    ("precision", "is_supported", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("fp16", True, torch.float16),
        ("float32", True, torch.float32),
    ],
)
def test_auto_is_bf16_where_the_hardware_supports_it(
    monkeypatch: pytest.MonkeyPatch, precision: module.Precision, is_supported: bool,
    dtype: torch.dtype,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "has_bf16", lambda device: is_supported)
    assert compute_dtype(CPU, precision) == dtype
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("name", "capability", "auto"),
    [
        ("NVIDIA GeForce GTX 1080", (6, 1), "float32"),
        ("Tesla V100-SXM2-16GB", (7, 0), "fp16"),
        ("Tesla T4", (7, 5), "fp16"),
        ("NVIDIA GeForce RTX 2080 Ti", (7, 5), "fp16"),
        ("Quadro RTX 4000", (7, 5), "fp16"),
        ("NVIDIA GeForce GTX 1650 Ti", (7, 5), "float32"),
        ("NVIDIA T1200 Laptop GPU", (7, 5), "float32"),
        ("NVIDIA A100-SXM4-40GB", (8, 0), "bf16"),
        ("NVIDIA GeForce RTX 4090", (8, 9), "bf16"),
    ],
)
def test_what_auto_is_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int], auto: str
) -> None:
    """fp16 where there are tensor cores for it, and none for bf16; which Turing's GTX lack."""
    gpu = pretend_gpu(monkeypatch, name, capability)
    assert number_type(gpu, "auto") == auto
    assert compute_dtype(gpu, "auto") == module.DTYPES[number_type(gpu, "auto")]
    for precision in get_args(module.NumberType):
        assert number_type(gpu, precision) == precision


def pretend_gpu(
    monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int]
) -> torch.device:
    """A GPU as torch describes it."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(module, "has_bf16", lambda device: capability >= (8, 0))
    return torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "capability", "precision", "told"),
    [
        ("Tesla T4", (7, 5), "bf16", r"this GPU .* emulates, slowly: --precision fp16 uses its"),
        ("Tesla P100", (6, 0), "bf16", r"emulates, slowly: --precision float32 is faster"),
        ("Tesla T4", (7, 5), "fp16", ""),
        ("Tesla T4", (7, 5), "auto", ""),
        ("Tesla T4", (7, 5), "float32", ""),
        ("NVIDIA A100", (8, 0), "bf16", ""),
        ("NVIDIA A100", (8, 0), "fp16", ""),
    ],
)
def test_an_emulated_type_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int],
    precision: module.Precision, told: str,
) -> None:  # fmt: skip
    note = slow_type_note(pretend_gpu(monkeypatch, name, capability), precision)
    assert re.search(told, note)
    assert bool(note) == bool(told)


@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_cpus_slow_types_are_told(monkeypatch: pytest.MonkeyPatch, has_bf16: bool) -> None:
    monkeypatch.setattr(module, "has_bf16", lambda device: has_bf16)
    faster = "bf16" if has_bf16 else "float32"
    assert f"slow on a CPU: --precision {faster} is faster" in slow_type_note(CPU, "fp16")
    assert bool(slow_type_note(CPU, "bf16")) != has_bf16
    assert not slow_type_note(CPU, "float32")
    assert not slow_type_note(torch.device("mps"), "bf16")


def tf32_settings() -> tuple[str, str, str]:
    matmul = torch.backends.cuda.matmul.fp32_precision
    return torch.backends.cudnn.conv.fp32_precision, torch.get_float32_matmul_precision(), matmul


def test_exact_float32_turns_tf32_off_and_on_again() -> None:
    """Also where another such context is within."""
    gpu, before = torch.device("cuda"), tf32_settings()
    torch.set_float32_matmul_precision("high")
    try:
        with_tf32 = tf32_settings()
        with exact_float32(gpu):
            with exact_float32(gpu):
                assert tf32_settings() == ("ieee", "highest", "ieee")
            assert tf32_settings() == ("ieee", "highest", "ieee")
        assert tf32_settings() == with_tf32
        with exact_float32(CPU):
            assert tf32_settings() == with_tf32
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.fp32_precision = before[2]


@pytest.fixture
def newer_settings() -> Iterator[None]:
    """torch's newer settings of TF32, which a test may change."""
    settings: list[Any] = [torch.backends, torch.backends.cuda.matmul, torch.backends.cudnn.conv]
    before = [one.fp32_precision for one in settings]
    yield
    for one, value in zip(settings, before, strict=True):
        one.fp32_precision = value


@pytest.mark.parametrize("where", [torch.backends, torch.backends.cuda.matmul])
def test_exact_float32_where_tf32_is_on_by_torchs_newer_setting(
    where: Any, newer_settings: None
) -> None:
    """After which torch refuses to read the older one."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    where.fp32_precision = "tf32"
    with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
        torch.get_float32_matmul_precision()
    with exact_float32(GPU):
        with exact_float32(GPU):
            assert (conv.fp32_precision, matmul.fp32_precision) == ("ieee", "ieee")
        assert (conv.fp32_precision, matmul.fp32_precision) == ("ieee", "ieee")
    assert (conv.fp32_precision, matmul.fp32_precision) == ("tf32", "tf32")


def test_a_device_of_another_type_has_no_bf16() -> None:
    assert not module.has_bf16(torch.device("meta"))


def test_a_seeded_device_draws_as_after_torchs_manual_seed() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    seed_device(CPU, 7)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_where_onednn_is_kept_from_bf16_products_auto_is_float32() -> None:
    code = (
        "import torch; from alexnet.runtime.device import compute_dtype\n"
        "print(compute_dtype(torch.device('cpu'), 'auto'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "torch.float32"


def test_out_of_memory_is_known_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 58)  # an exabyte
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
