"""Choosing a device, and the data type of its matrix products."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.runtime import device as module
from alexnet.runtime.device import (
    autocast,
    choose_device,
    compute_dtype,
    is_out_of_memory,
    seed_device,
)

CPU = torch.device("cpu")


def test_auto_is_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:97", ""])
def test_a_device_that_cannot_be_used(name: str) -> None:
    with pytest.raises(UsageError, match=f"^device '{name}' cannot be used here; try --device cpu"):
        choose_device(name)


@pytest.mark.parametrize(
    ("precision", "is_supported", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("bf16", False, torch.bfloat16),
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
