"""MATLAB files: lists of numbers are read, and nothing larger."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets import mat as module
from alexnet.data.datasets.mat import load_mat_arrays, read_mat
from alexnet.errors import DataError
from support.slow import first_fast

scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")


@pytest.mark.parametrize("is_packed", [True, False])
def test_arrays_and_fields_of_structs(tmp_path: Path, is_packed: bool) -> None:
    synsets = np.empty((2, 1), dtype=[(name, object) for name in ("ID", "WNID", "children")])
    synsets[:, 0] = [(1, "n01", []), (2, "n02", [3])]
    content = {"a": np.arange(9).reshape(3, 3), "b": np.array([[2.5]]), "synsets": synsets}
    scipy_io.savemat(tmp_path / "x.mat", content, do_compression=is_packed)
    found = load_mat_arrays(tmp_path / "x.mat")
    assert found.keys() == {"a", "b", "synsets.ID", "synsets.WNID"}
    assert np.array_equal(found["a"], content["a"])
    assert found["b"] == 2.5
    assert found["synsets.WNID"].tolist() == ["n01", "n02"]


def test_it_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.arange(9)})
    assert np.array_equal(read_mat(tmp_path / "x.mat")["a"], np.arange(9))


@pytest.mark.slow
def test_a_small_file_with_large_arrays(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.zeros(40 << 20, np.uint8)}, do_compression=True)
    assert (tmp_path / "x.mat").stat().st_size < 300_000
    with pytest.raises(DataError, match="its arrays have more than 33,554,432 bytes"):
        read_mat(tmp_path / "x.mat")


def test_a_large_file_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.arange(9)})
    os.mkfifo(tmp_path / "pipe.mat")
    with pytest.raises(DataError, match=r"pipe\.mat .*not a regular file"):
        read_mat(tmp_path / "pipe.mat")
    monkeypatch.setattr(module, "MAX_MAT_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read_mat(tmp_path / "x.mat")


@pytest.mark.parametrize("length", first_fast([130, 0, 1, 127, 150]))
def test_a_truncated_file(tmp_path: Path, length: int) -> None:
    scipy_io.savemat(tmp_path / "x.mat", {"a": np.arange(99)})
    (tmp_path / "x.mat").write_bytes((tmp_path / "x.mat").read_bytes()[:length])
    with pytest.raises(DataError, match=r"x\.mat cannot be read as a \.mat file"):
        read_mat(tmp_path / "x.mat")
