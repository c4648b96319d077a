"""Commands that compute say once why they could be faster, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.ops import library
from alexnet.training.run_folder import RunFolder
from support.commands import Command

REASON = "there is no C compiler; install one"
NOTE = f"training and inference on the CPU are slower without the C kernels: {REASON}\n"


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a compiler, and a package without kernels."""
    monkeypatch.setattr(library, "_search", lambda: (None, REASON))


@pytest.mark.slow
@pytest.mark.usefixtures("no_kernels", "no_plots")
def test_it_is_said_once(command: Command, own: RunFolder, flowers: Path, tmp_path: Path) -> None:
    small = ("--arch", "lenet5", "--epochs", 1, "--resize-size", 32, "--crop-size", 32)
    layers = ("--input-size", 32, "--up-to", "conv1", "--out", tmp_path / "layers")
    commands = (
        ("train", "--data", flowers, *small, "--out", tmp_path / "run"),
        ("pretrain", "autoencoder", "--data", flowers, *small, *layers),
        ("evaluate", own.path),
        ("benchmark", "infer", "lenet5", "--repeats", 1),
    )
    for words in commands:
        told = command(*words)
        assert told.code == 0, told.err
        assert told.err.count(NOTE) == 1, words


@pytest.mark.usefixtures("no_kernels")
def test_it_is_not_said_where_nothing_is_computed(command: Command) -> None:
    assert "slower" not in command("summary", "alexnet").err
    assert REASON in command("doctor").out
