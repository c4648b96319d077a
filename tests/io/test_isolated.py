"""A reader in a process of its own: its arrays come back, and its failures are errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.io.isolated import read_in_subprocess


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a file").write_bytes(bytes(range(200)))
    return tmp_path / "a file"


def test_arrays_come_back(path: Path) -> None:
    found = read_in_subprocess("support.isolated_readers:length", path)
    assert found["file"] == 200
    assert np.array_equal(found["a/b"], np.arange(200, dtype=np.uint8))


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        ("raises", r"'no\\nsuch \\udcff thing'"),
        ("crashes", "its reader crashed"),
        ("takes_too_much_memory", "Unable to allocate"),
        ("gives_objects", "pickle"),
    ],
)
def test_failures_of_the_reader_are_errors_of_one_line(
    path: Path, reader: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read_in_subprocess(f"support.isolated_readers:{reader}", path, memory_bytes=1 << 30)
    assert "\n" not in str(caught.value)


def test_a_reader_that_hangs_is_stopped(path: Path) -> None:
    with pytest.raises(ValueError, match=r"did not end within 0\.3 seconds"):
        read_in_subprocess("support.isolated_readers:hangs", path, timeout_seconds=0.3)
