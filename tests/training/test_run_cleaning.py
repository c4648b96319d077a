"""What may be removed from a folder of runs, and what never is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from alexnet.errors import UsageError
from alexnet.training.run_cleaning import find_leftovers, named_runs, remove
from support.run_folders import write_run

FINISHED = {"top1_error": 0.5, "num_images": 2}


def removable(folder: Path) -> set[str]:
    return {str(Path(one.path).relative_to(folder)) for one in find_leftovers(folder)}


def test_leftovers_of_every_kind(tmp_path: Path) -> None:
    finished = write_run(tmp_path / "finished", (0.5,), test=FINISHED)
    finished.checkpoints.mkdir()
    finished.checkpoint(5).write_bytes(b"1234")
    (finished.path / ".model.safetensors.4711.tmp").write_text("")
    write_run(tmp_path / "nothing")
    write_run(tmp_path / "wild").diverged.write_text("not finite after step 1")
    write_run(tmp_path / ".killed-001.4711.tmp")
    old = time.time() - 7200
    os.utime(tmp_path / ".killed-001.4711.tmp", (old, old))
    assert removable(tmp_path) == {
        "finished/checkpoints", "finished/.model.safetensors.4711.tmp", "nothing", "wild",
        ".killed-001.4711.tmp",
    }  # fmt: skip
    (checkpoints,) = [one for one in find_leftovers(tmp_path) if one.path.endswith("checkpoints")]
    assert checkpoints.size_bytes == 4
    assert checkpoints.reason == "state of a finished run, which only more epochs need"


def test_what_is_never_a_leftover(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "finished", (0.5,), test=FINISHED)
    resumable = write_run(runs / "resumable")
    resumable.checkpoints.mkdir()
    resumable.checkpoint(2).write_text("")
    write_run(runs / "wild", (0.5,)).diverged.write_text("not finite after step 9")
    write_run(runs / "damaged").config.write_text("")
    write_run(runs / ".starting-001.4711.tmp")
    write_run(tmp_path / "elsewhere")
    (runs / "link").symlink_to(tmp_path / "elsewhere")
    (runs / ".hidden.tmp").mkdir()
    running = write_run(runs / "running")
    with running.locked():
        assert removable(runs) == set()


def test_only_named_runs_are_removed_whole(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", (0.5,), test=FINISHED)
    (one,) = named_runs([run.path])
    assert one.state == "finished"
    (tmp_path / "link").symlink_to(run.path)
    with pytest.raises(UsageError, match="is not a run folder"):
        named_runs([tmp_path])
    with pytest.raises(UsageError, match="is a link to"):
        named_runs([tmp_path / "link"])
    other = write_run(tmp_path / "b")
    with other.locked(), pytest.raises(UsageError, match="a process is training"):
        named_runs([run.path, other.path])


def test_removing_follows_no_link(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("")
    (run.path / "plots").symlink_to(tmp_path / "mine")
    assert remove(run.path) == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "photo.jpg"]


def test_a_folder_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "a")

    def refuse(*paths: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("alexnet.training.run_cleaning.rename", refuse)
    assert remove(run.path) == f"{run.path} cannot be removed: Permission denied"
    assert run.config.exists()
