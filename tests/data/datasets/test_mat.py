"""MATLAB files: small lists of numbers come out, and nothing larger is taken in."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets import mat as module
from alexnet.data.datasets.mat import read_mat
from alexnet.errors import DataError

scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")


@pytest.mark.parametrize("is_packed", [True, False])
def test_variables(tmp_path: Path, is_packed: bool) -> None:
    numbers = {"a": np.arange(9).reshape(3, 3), "b": np.array([[2.5]])}
    scipy_io.savemat(tmp_path / "x.mat", numbers, do_compression=is_packed)
    found = read_mat(tmp_path / "x.mat")
    assert all(np.array_equal(found[name], array.squeeze()) for name, array in numbers.items())


def test_a_small_file_that_unpacks_to_much(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(200 << 20), 9)
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    (tmp_path / "x.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    assert (tmp_path / "x.mat").stat().st_size < 300_000
    with pytest.raises(DataError, match="unpacks to more than 33,554,432 bytes"):
        read_mat(tmp_path / "x.mat")


def test_what_is_large_or_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.arange(9)})
    os.mkfifo(tmp_path / "pipe.mat")
    with pytest.raises(DataError, match=r"pipe\.mat .*not a regular file"):
        read_mat(tmp_path / "pipe.mat")
    monkeypatch.setattr(module, "MAX_MAT_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read_mat(tmp_path / "x.mat")


@pytest.mark.parametrize("cut", [0, 1, 127, 130, 150])
def test_a_cut_off_file(tmp_path: Path, cut: int) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.arange(99)})
    (tmp_path / "x.mat").write_bytes((tmp_path / "x.mat").read_bytes()[:cut])
    with pytest.raises(DataError, match=r"x\.mat cannot be read as a \.mat file"):
        read_mat(tmp_path / "x.mat")
