"""The kernels' instruction set is the fastest that the CPU has, or the one that the user names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from alexnet.errors import UnknownNameError, UsageError
from alexnet.ops import instruction_sets
from alexnet.ops.instruction_sets import (
    AMX,
    AVX2,
    AVX512,
    INSTRUCTION_SETS,
    may_use_tiles,
    supported,
    wanted,
)
from alexnet.ops.norms import response_norm
from support.kernels import needs_kernels, randn, without_kernels

NAMES = [isa.name for isa in INSTRUCTION_SETS]


def cpu_with(flags: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the CPU has these flags."""
    text = f"model name : A\nflags\t\t: fpu sse2 {' '.join(flags)}\nbugs : spectre\n"
    (folder / "cpuinfo").write_text(text * 2)
    monkeypatch.setattr(instruction_sets, "CPUINFO", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ((), ["baseline"]),
        (("avx2",), ["baseline"]),
        (AVX2, ["avx2", "baseline"]),
        ((*AVX2, "avx_vnni"), ["avx_vnni", "avx2", "baseline"]),
        (AVX512, ["avx512", "avx2", "baseline"]),
        ((*AVX512, "avx512_vnni", "avx512_bf16"), ["avx512_vnni", "avx512", "avx2", "baseline"]),
    ],
)
def test_what_a_cpu_has(
    flags: tuple[str, ...], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with(flags, tmp_path, monkeypatch)
    assert [isa.name for isa in supported()] == names
    assert wanted() == supported()


@pytest.mark.parametrize(("is_allowed", "fastest"), [(True, "amx_int8"), (False, "avx512_vnni")])
def test_tiles_are_used_where_linux_allows_it(
    is_allowed: bool, fastest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with((*AVX512, "avx512_vnni", "avx512_bf16", *AMX), tmp_path, monkeypatch)
    monkeypatch.setattr(instruction_sets, "may_use_tiles", lambda: is_allowed)
    assert supported()[0].name == fastest


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "x86_64"), ("Linux", "aarch64")])
def test_other_systems_are_not_asked_for_tiles(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert not may_use_tiles.__wrapped__()


def test_a_system_that_does_not_tell_has_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruction_sets, "CPUINFO", tmp_path / "no such file")
    assert [isa.name for isa in supported()] == ["baseline"]


def test_the_user_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(AVX512, tmp_path, monkeypatch)
    monkeypatch.setenv("ALEXNET_ISA", "avx2")
    assert [isa.name for isa in wanted()] == ["avx2"]
    monkeypatch.setenv("ALEXNET_ISA", "avx512_vnni")
    with pytest.raises(UsageError, match="does not have; it has avx512, avx2, baseline"):
        wanted()
    monkeypatch.setenv("ALEXNET_ISA", "avx3")
    with pytest.raises(UnknownNameError, match="'avx3'"):
        wanted()


def test_the_compilers_options_are_the_cpus_flags() -> None:
    flags = {isa.name: " ".join(isa.compiler_flags) for isa in INSTRUCTION_SETS}
    assert flags["baseline"] == ""
    assert flags["avx_vnni"] == "-mavx2 -mfma -mf16c -mbmi2 -mavxvnni"
    assert flags["avx512_vnni"].endswith("-mavx512vl -mavx512vnni -mprefer-vector-width=512")
    assert " -mamx-tile -mamx-int8 -mamx-bf16 " in flags["amx_int8"]


@needs_kernels
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_computes_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in {isa.name for isa in supported()}:
        pytest.skip(f"this CPU does not have {name}")
    x, grad = (
        randn(2, 96, 7, 7, seed=seed).to(memory_format=torch.channels_last) for seed in (0, 1)
    )

    def result() -> tuple[torch.Tensor, torch.Tensor]:
        image = x.clone(memory_format=torch.channels_last).requires_grad_()
        y = response_norm(image)
        y.backward(grad)
        assert image.grad is not None
        return y.detach(), image.grad

    with without_kernels():
        expected = result()
    monkeypatch.setenv("ALEXNET_ISA", name)
    for found, right in zip(result(), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)
