"""The C kernels are compiled once and cached; without a compiler or a cache there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.ops.build import build_library
from support.kernels import needs_kernels

UNOPTIMIZED = ("-O0", "-march=native", "-std=c11", "-fPIC")
"""Faster to compile; the other tests use a library that is built with the real flags."""


@needs_kernels
def test_built_once_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    first = build_library(UNOPTIMIZED)
    assert first is not None
    (file,) = (tmp_path / "kernels").iterdir()
    built_at = file.stat().st_mtime_ns
    again = build_library(UNOPTIMIZED)
    assert again is not None
    assert again[1] == first[1]
    assert [p.stat().st_mtime_ns for p in (tmp_path / "kernels").iterdir()] == [built_at]


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_there_are_none(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", compiler)
    assert build_library() is None
    assert not (tmp_path / "kernels").exists()


def test_without_a_cache_folder_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    assert build_library() is None
