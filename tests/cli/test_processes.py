"""Several processes of one command: who prints, what is refused, and exit codes."""

from __future__ import annotations

import signal

import pytest

from alexnet.cli.processes import is_shared
from alexnet.errors import UsageError
from alexnet.parallel.launch import check_size, exit_code
from support.commands import Command
from support.processes import torchrun_environment


@pytest.mark.parametrize(("rank", "says"), [(0, True), (1, False)])
def test_work_of_one_process_is_refused_once(
    rank: int, says: bool, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in torchrun_environment(rank, 2, 1).items():
        monkeypatch.setenv(name, value)
    result = command("summary")
    assert result.code == 2
    assert ("alexnet summary is the work of one process" in result.err) == says
    assert not result.out


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        ("evaluate runs/a", True),
        ("pretrain rbm flowers17", True),
        ("benchmark train lenet5", True),
        ("benchmark infer lenet5", False),
        ("explain runs/a --neighbors=b.jpg", True),
        ("explain runs/a b.jpg", False),
        ("data prepare train", False),
    ],
)
def test_which_commands_processes_share(words: str, is_one: bool) -> None:
    assert is_shared(words.split()) == is_one


@pytest.mark.parametrize(
    ("codes", "code"),
    [([2, -9], 2), ([143, 143], 143), ([-15, 130], 130), ([-signal.SIGKILL], 2), ([1], 2)],
)
def test_the_exit_code_is_that_of_the_processes(codes: list[int], code: int) -> None:
    assert exit_code(codes) == code


def test_far_too_many_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="--devices 10000 is too many"):
        check_size(10_000)
    check_size(2)


def test_devices_must_be_positive(command: Command) -> None:
    assert "--devices 0 must be at least 1" in command("train", "--devices", 0).err
