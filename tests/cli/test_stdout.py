"""What happens where standard output is closed or its disk is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet import cli
from alexnet.cli import main

PROGRAM = (sys.executable, "-m", "alexnet")
BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}
LITTLE, MUCH = ("doctor", "--help"), ("train", "--help-all")
"""Commands that print less and more than the buffer of a file holds."""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("words", [LITTLE, MUCH])
def test_a_full_disk_is_one_sentence(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*PROGRAM, *words],
            env=BUFFERED, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert result.stderr == "alexnet: standard output: No space left on device\n"
    assert result.returncode == 2


@pytest.mark.parametrize("words", [LITTLE, MUCH])
def test_a_closed_pipe_is_no_error(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*PROGRAM, *words],
        env=BUFFERED, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that closes stdout")
def test_no_stdout_at_all() -> None:
    words = ["sh", "-c", '"$0" -m alexnet --version >&-', sys.executable]
    result = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_error_after_output_that_nobody_reads_is_told() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = (
        "import sys; from alexnet import cli; from alexnet.errors import UsageError\n"
        "def fail(words): print('some output'); raise UsageError('wrong')\n"
        "cli._dispatch = fail; sys.exit(cli.main([]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=BUFFERED, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert result.stderr == "alexnet: wrong\n"
    assert result.returncode == 2


def test_another_broken_pipe_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a process that was killed."""

    def fail(words: list[str]) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(cli, "_dispatch", fail)
    with pytest.raises(BrokenPipeError):
        main(["doctor"])


def test_a_full_disk_without_the_name_of_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "alexnet: No space left on device\n"
