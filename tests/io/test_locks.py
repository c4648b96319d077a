"""Locks of files, and what happens where the file system has none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from alexnet.errors import TrainingError
from alexnet.io.cache import cache_entries, remove_entry
from alexnet.io.downloads import atomic_folder
from alexnet.io.locks import NO_LOCKS, is_held, take_lock, waiting_lock
from alexnet.io.resumable import ResumableFolder
from alexnet.training.run_folder import RunFolder
from alexnet.tune.folder import open_folder

fcntl = pytest.importorskip("fcntl")


def fail_with(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let every lock fail with an error of the system."""

    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture(params=sorted(NO_LOCKS))
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""
    fail_with(monkeypatch, request.param)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_work_goes_on_and_says_so(tmp_path: Path) -> None:
    notes: list[str] = []
    lock = take_lock(tmp_path / ".lock", notes.append)
    assert not lock.is_locked
    lock.release()
    with waiting_lock(tmp_path / ".lock", lambda: pytest.fail("it waits"), notes.append) as lock:
        assert not lock.is_locked
        assert not is_held(tmp_path / ".lock")
    assert notes == 2 * [
        f"the file system of {tmp_path} has no file locks: do not let two processes work in this "
        "folder at the same time"
    ]


def test_an_older_filelock_says_it_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(lock: FileLock, timeout: float) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    notes: list[str] = []
    assert not take_lock(tmp_path / ".lock", notes.append).is_locked
    assert len(notes) == 1


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_other_errors_stay_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail_with(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        take_lock(tmp_path / ".lock", lambda text: pytest.fail(text))
    with (
        pytest.raises(TrainingError, match=f"cannot write into .*{os.strerror(number)}"),
        RunFolder(tmp_path).locked(),
    ):
        pass


def test_a_lock_of_another_is_waited_for_or_told(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        assert is_held(tmp_path / ".lock")
        with pytest.raises(Timeout):
            take_lock(tmp_path / ".lock", lambda text: pytest.fail(text))
    with waiting_lock(tmp_path / ".lock", lambda: None) as lock:
        assert lock.is_locked
    assert not is_held(tmp_path / ".lock")


@pytest.mark.usefixtures("no_locks")
def test_a_run_is_trained_without_locks(tmp_path: Path) -> None:
    notes: list[str] = []
    with RunFolder(tmp_path).locked(notes.append):
        assert not RunFolder(tmp_path).is_locked()
    assert len(notes) == 1


@pytest.mark.usefixtures("no_locks")
def test_a_tuning_goes_on_without_locks(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = open_folder(tmp_path / "out", "", notes.append)
    with folder.alone():
        assert folder.claim(0)
    assert list(folder.locks) == [0], "so that this process begins it once"
    folder.release(0, ended=True)
    assert folder.claim_confirmation() is not None
    assert len(notes) == 1


@pytest.mark.usefixtures("no_locks")
def test_without_locks_every_process_builds_its_own_folder(tmp_path: Path) -> None:
    """So that two that build at once, such as those of --devices 2, mix nothing."""
    target = ResumableFolder(what="store", folder=tmp_path / "store", files=("data", "store.json"))
    notes: list[str] = []

    def fill(folder: Path, text: str) -> None:
        folder.mkdir()
        (folder / "data").write_text(text)
        if text == "outer":
            target.build(lambda folder: fill(folder, "inner"), lambda: None, notes.append)
        (folder / "store.json").write_text("{}")

    target.build(lambda folder: fill(folder, "outer"), lambda: None, notes.append)
    assert (tmp_path / "store" / "data").read_text() == "inner"
    assert {path.name for path in tmp_path.iterdir()} == {"store", "store.lock"}
    assert len(notes) == 2
    assert "if several processes make the same store at once, each makes its own" in notes[0]


@pytest.mark.usefixtures("no_locks")
def test_an_entry_of_a_cache_without_locks_can_be_removed(tmp_path: Path) -> None:
    name = "photos-0123456789abcdef"
    with atomic_folder(tmp_path / "unpacked" / name):
        pass
    (tmp_path / "unpacked" / f".{name}.lock").touch()
    (entry,) = cache_entries(tmp_path)
    assert remove_entry(entry) == ""
    assert not cache_entries(tmp_path)
