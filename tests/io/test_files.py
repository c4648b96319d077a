"""Atomic files: flushed before the rename, the folder after it; errors name the file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from alexnet.io import files
from alexnet.io.files import atomic_write, write_text


def test_a_file_is_flushed_then_renamed_then_its_folder_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other order a power cut can leave the name and not the content."""
    order: list[object] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(handle: int) -> None:
        order.append(os.fstat(handle).st_ino)
        fsync(handle)

    def renamed(aside: Path, target: Path) -> Path:
        order.append(f"rename {target.name}")
        return replace(aside, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    file = tmp_path / "folder" / "a.txt"
    write_text(file, "text")
    assert order == [file.stat().st_ino, "rename a.txt", file.parent.stat().st_ino]
    assert file.read_text() == "text"


@pytest.mark.parametrize("stage", ["write", "flush", "rename"])
def test_an_error_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    (tmp_path / "a.txt").write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write() -> None:
        with atomic_write(tmp_path / "a.txt") as aside:
            aside.write_text("new")
            if stage == "write":
                full()

    with monkeypatch.context() as patch:
        if stage == "flush":
            patch.setattr(files, "fsync", full)
        if stage == "rename":
            patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left") as caught:
            write()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a.txt"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_write(tmp_path / "a.txt"):
        (tmp_path / "elsewhere").read_text()
