"""Whole commands where the system is as Windows is; `support/windows.py` says what is emulated."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet
from alexnet.cli import main, stdout
from alexnet.io import files, text
from support.commands import CommandResult

SMALL = ("--arch", "lenet5", "--batch-size", "8", "--resize-size", "32", "--crop-size", "32")


def on_windows(place: Path, *commands: tuple[object, ...]) -> list[CommandResult]:
    """The results of commands that run one after another in a process like one on Windows."""
    package, tests = Path(alexnet.__file__).parents[1], Path(__file__).parent
    environment = {
        **os.environ,
        "ALEXNET_CACHE": str(place / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(package), str(tests))),
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONWARNINGS": "ignore::EncodingWarning",
    }
    words = json.dumps([[str(word) for word in command] for command in commands])
    process = subprocess.run(
        [sys.executable, "-m", "support.windows", words],
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return [CommandResult(*json.loads(line)) for line in process.stdout.splitlines()]


@pytest.mark.slow
def test_a_run_is_interrupted_resumed_evaluated_and_used(flowers: Path, tmp_path: Path) -> None:
    run, image = tmp_path / "run", flowers / "test" / "rose" / "0000.jpg"
    stopped, resumed, evaluated, predicted, checked, listed, refused = on_windows(
        tmp_path,
        ("NO-PLOTS",),
        ("CTRL-C", 3),
        ("train", "--data", flowers, *SMALL, "--epochs", 2, "--out", run),
        ("train", "--resume", run),
        ("evaluate", run),
        ("predict", run, image, "--csv"),
        ("data", "check", flowers),
        ("summary", "lenet5"),
        ("train", "--data", flowers, "--name", "C:run"),
    )
    assert stopped.code == 130
    assert "stopped after step 3 of 8, which is saved" in stopped.err
    assert resumed.code == evaluated.code == predicted.code == checked.code == listed.code == 0
    assert "resuming after step 3 of 8" in resumed.err
    assert resumed.err.count("they are not built for Windows, but under WSL they are") == 1
    assert "on 12 images" in resumed.out
    assert predicted.out.startswith("image,rank,label,probability\r\n")
    assert refused.code == 2
    assert "--name 'C:run' must be a valid folder name" in refused.err
    left = {path.name for path in run.glob("**/.*")}
    assert left == {".lock"}, "a temporary file; filelock removes locks on Windows alone"
    assert len(list((run / "checkpoints").iterdir())) == 1, "the state at the end"
    written = [path.read_bytes() for path in (*run.glob("*.json"), *run.glob("*.jsonl"))]
    assert not any(b"\r" in content for content in written), "files can move between systems"


@pytest.mark.slow
def test_other_commands(flowers: Path, tmp_path: Path) -> None:
    size, table = ("--input-size", 32), tmp_path / "split.csv"
    commands = (
        ("data", "split", flowers / "train", table),
        ("data", "split", flowers / "train", tmp_path / "split"),
        ("data", "show", flowers, "--out", tmp_path / "show.png"),
        ("pretrain", "autoencoder", "--data", table, *SMALL, *size, "--epochs", 1, "--out", "pre"),
        ("train", "--data", table, *SMALL, *size, "--epochs", 1, "--out", "run",
         "--from", "pre/model.safetensors"),
        ("export", "run", "--format", "torch", "--out", "net.pt2"),
        ("benchmark", "infer", "lenet5", "--repeats", 2),
        ("doctor",),
    )  # fmt: skip
    results = on_windows(tmp_path, *commands)
    failed = [(c, r) for c, r in zip(commands, results, strict=True) if r.code]
    assert not failed


def test_commands_are_quoted_for_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["alexnet", "train", "--resume", "my runs/a"]
    assert text.shell_command(words) == "alexnet train --resume 'my runs/a'"
    monkeypatch.setattr(text, "IS_WINDOWS", True)
    assert text.shell_command(words) == 'alexnet train --resume "my runs/a"'


class ClosedOnWindows(io.StringIO):
    """There a pipe that nobody reads is EINVAL."""

    def write(self, text: str) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_closed_pipe_ends_a_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", ClosedOnWindows())
    assert main(["--version"]) == 2
    assert capsys.readouterr().err == "alexnet: standard output: Invalid argument\n"
    monkeypatch.setattr(stdout, "IS_WINDOWS", True)
    assert main(["--version"]) == 0
    assert capsys.readouterr().err == ""


class TestRename:
    """Another program may have a file open for a moment, and then its name cannot be taken."""

    @pytest.fixture
    def busy(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """Targets of the first three tries, all of which are refused."""
        tries: list[Path] = []
        move = Path.replace

        def moved(source: Path, target: Path) -> Path:
            tries.append(target)
            if len(tries) <= 3:
                raise PermissionError(errno.EACCES, "used by another process", str(source))
            return move(source, target)

        monkeypatch.setattr(Path, "replace", moved)
        monkeypatch.setattr(files, "RENAME_PAUSE_SECONDS", 0.0)
        return tries

    def test_it_tries_again(
        self, busy: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "IS_WINDOWS", True)
        (tmp_path / "a").write_text("new")
        files.rename(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b").read_text() == "new"
        assert len(busy) == 4

    def test_it_gives_up(
        self, busy: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "IS_WINDOWS", True)
        monkeypatch.setattr(files, "RENAME_TRIES", 2)
        with pytest.raises(PermissionError, match="used by another process"):
            files.rename(tmp_path / "a", tmp_path / "b")

    def test_elsewhere_a_refusal_is_final(self, busy: list[Path], tmp_path: Path) -> None:
        with pytest.raises(PermissionError):
            files.rename(tmp_path / "a", tmp_path / "b")
        assert len(busy) == 1
