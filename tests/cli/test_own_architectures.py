"""Tables of one's own in every command and function that takes an architecture's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import alexnet
from alexnet.benchmark.throughput import MATMUL_SIZE
from alexnet.cli.completion import known_words
from alexnet.config.architecture_file import find_architecture
from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.inference.classifier import load
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected
from support.commands import Command

COMMANDS = {
    "train": "train --dry-run --arch {}",
    "tune": "tune --dry-run --arch {}",
    "pretrain autoencoder": "pretrain autoencoder --arch {}",
    "pretrain rbm": "pretrain rbm --arch {}",
    "import": "import net.pth --arch {}",
    "data show": "data show toyflowers --arch {}",
    "benchmark train": "benchmark train {}",
    "benchmark infer": "benchmark infer {}",
    "summary": "summary {}",
}
PLACES = ("benchmark train", "benchmark infer", "summary")
"""Commands that take an architecture without a flag."""
FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "train": lambda arch: alexnet.train("toyflowers", arch=arch),
    "pretrain": lambda arch: alexnet.pretrain("rbm", arch=arch),
    "create_model": alexnet.create_model,
    "variant": lambda arch: alexnet.variant(arch, width=2.0),
    "import_model": lambda arch: alexnet.import_model("net.pth", arch),
}
MINE = alexnet.Architecture(
    "mine", "", (3, 32, 32),
    (Conv("conv1", 4, 5, stride=2), Activation("relu1"), Flatten("flatten"),
     FullyConnected("fc2", 5)),
)  # fmt: skip


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A table in a JSON file."""
    path = tmp_path / "mine.json"
    path.write_text(to_json(MINE))
    return str(path)


@pytest.fixture
def failing(tmp_path: Path) -> str:
    """A file that fails when it is run."""
    (tmp_path / "nets.py").write_text("raise ValueError('this was run')\n")
    return f"{tmp_path / 'nets.py'}:table"


def test_every_command_with_an_architecture_is_here() -> None:
    named = {command for command, words in known_words().items() if "--arch" in words}
    assert named | set(PLACES) == set(COMMANDS)


@pytest.mark.parametrize("command_words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_runs_the_file(command: Command, failing: str, command_words: str) -> None:
    told = command(*(word.format(failing) for word in command_words.split()))
    assert told.code == 2
    assert "nets.py, line 1: ValueError: this was run" in told.err


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_function_runs_the_file(failing: str, function: Callable[[str], Any]) -> None:
    with pytest.raises(UsageError, match="line 1: ValueError: this was run"):
        function(failing)


@pytest.mark.slow
def test_a_table_is_measured_and_its_input_shown(
    command: Command, mine: str, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MATMUL_SIZE, "cpu", 64)
    monkeypatch.setattr("alexnet.plots.save", lambda *_: None)
    told = command("benchmark", "infer", mine, "--batch-size", 1, "--repeats", 1, "--json")
    assert '"arch": "mine"' in told.out
    shown: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        "alexnet.plots.contact_sheet", lambda rows, *_, **__: shown.append(rows[0][1].shape)
    )
    command("data", "show", flowers, "--arch", mine, "--num-classes", 1, "--out", tmp_path / "a")
    assert shown == [(32, 32, 3)]


def test_a_state_dict_is_imported_as_a_table(command: Command, mine: str, tmp_path: Path) -> None:
    network = alexnet.create_model(mine)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    told = command("import", tmp_path / "net.pth", "--arch", mine, "--out", tmp_path / "m")
    assert told.code == 0, told.err
    info = load(tmp_path / "m", "cpu").info
    assert (info.architecture, info.recipe.arch) == (MINE, MINE)
    assert find_architecture(mine) == MINE
