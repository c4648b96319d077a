"""The C kernels are built once, found again, and done without."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.ops.library import (
    _load_once,
    check_float32,
    describe_kernels,
    load_compatible_kernels,
    load_kernels,
)
from support.kernels import built_kernels, needs_kernels


@needs_kernels
def test_built_once_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = describe_kernels()
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    found = _load_once.__wrapped__()
    assert found is not None
    assert found.compiler == compiler != "torch"
    (library,) = (tmp_path / "kernels").iterdir()
    built_at = library.stat().st_mtime_ns
    assert _load_once.__wrapped__() is not None
    assert [p.stat().st_mtime_ns for p in (tmp_path / "kernels").iterdir()] == [built_at]


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_there_are_none(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", compiler)
    assert _load_once.__wrapped__() is None
    assert not (tmp_path / "kernels").exists()


def test_without_a_cache_folder_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    assert _load_once.__wrapped__() is None


def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_KERNELS", "0")
    assert load_kernels() is None
    assert describe_kernels() == "torch"


@needs_kernels
def test_layers_of_another_cpu_are_rejected() -> None:
    block = built_kernels().int8_output_block
    assert load_compatible_kernels(block) is built_kernels()
    with pytest.raises(UsageError, match="another kind of CPU"):
        load_compatible_kernels(block + 1)


@needs_kernels
def test_tensors_on_other_devices_are_rejected() -> None:
    with pytest.raises(ValueError, match="compute on the CPU, not on meta"):
        built_kernels().call("response_norm_f32", torch.empty(1, device="meta"))


def test_float32_is_checked() -> None:
    check_float32(torch.zeros(1))
    with pytest.raises(ValueError, match=r"float32, not torch\.float16"):
        check_float32(torch.zeros(1), torch.zeros(1).half())
