"""Marks of files that are in use, between processes and in one."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from pickle import dumps, loads

import pytest

from alexnet.io.in_use import InUse, is_in_use, mark_used

pytest.importorskip("fcntl")


def test_a_file_is_in_use_as_long_as_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text("{}")
    assert not is_in_use(path)
    first, second = InUse(path), InUse(path)
    assert is_in_use(path)
    del first
    assert is_in_use(path)
    del second
    assert not is_in_use(path)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: loads(dumps(it))])
def test_a_copy_is_a_mark_of_its_own(tmp_path: Path, copied: Callable[[InUse], InUse]) -> None:
    path = tmp_path / "store.json"
    path.write_text("{}")
    first = InUse(path)
    second = copied(first)
    del first
    assert is_in_use(path)
    with path.open() as other:  # its descriptor is the one that `first` had
        del second
        os.fstat(other.fileno())
    assert not is_in_use(path)


def test_another_process_sees_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text("{}")
    code = "import sys; from pathlib import Path; from alexnet.io.in_use import is_in_use; "
    code += "print(is_in_use(Path(sys.argv[1])))"
    mark = InUse(path)
    words = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "True\n"
    del mark


def test_no_file_is_no_error(tmp_path: Path) -> None:
    InUse(tmp_path / "nothing")
    assert not is_in_use(tmp_path / "nothing")
    mark_used(tmp_path / "nothing")


def test_only_the_cache_is_marked(tmp_path: Path, cache: Path) -> None:
    for folder in (cache / "stores" / "a", tmp_path / "photos"):
        folder.mkdir(parents=True)
        os.utime(folder, (1000, 1000))
        mark_used(folder)
    assert (cache / "stores" / "a").stat().st_mtime > 1000
    assert (tmp_path / "photos").stat().st_mtime == 1000
