"""Architectures of one's own from files: read, named, and told with the line where they fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.cli.train import TrainFlags, parse
from alexnet.config.architecture_file import named_or_own
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, to_dict, to_json
from alexnet.errors import AlexNetError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected
from alexnet.training.run_index import summarize_run
from support.commands import Command

TABLE = Architecture(
    "mine",
    "my own",
    (3, 32, 32),
    (
        Conv("conv1", 4, 5, stride=2),
        Activation("relu1"),
        Flatten("flatten"),
        FullyConnected("fc2", 10),
    ),
)
SOURCE = """
from widths import WIDTH
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected

table = Architecture(
    "mine", "my own", (3, 32, 32),
    (Conv("conv1", WIDTH, 5, stride=2), Activation("relu1"), Flatten("flatten"),
     FullyConnected("fc2", 10)),
)
"""


@pytest.fixture
def own_net(tmp_path: Path) -> Path:
    """A Python file with one architecture, which imports a module beside it."""
    (tmp_path / "widths.py").write_text("WIDTH = 4\n")
    (tmp_path / "my nets.py").write_text(SOURCE)
    return tmp_path / "my nets.py"


def test_a_name_stays_a_name_and_files_are_read(own_net: Path, tmp_path: Path) -> None:
    assert named_or_own("alexnet_bn") == "alexnet_bn"
    assert named_or_own(f"{own_net}:table") == TABLE
    assert named_or_own(str(own_net)) == TABLE
    (tmp_path / "net.json").write_text(to_json(TABLE))
    assert named_or_own(str(tmp_path / "net.json")) == TABLE


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("x = 1\ny = undefined\n", ":net", "line 2: NameError: name 'undefined'"),
        ("def f():\n    return 1 / 0\n\nf()\n", ":net", "line 2: ZeroDivisionError"),
        ("x = 1\nnet = (\n", ":net", r"line 2: SyntaxError: '\(' was never closed"),
        (SOURCE.replace("32, 32", "3, 3"), ":table", "line 6: mine cannot take 3x3 pixels"),
        ("import nothing_here\n", "", "line 1: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "", "line 1: SystemExit: 3"),
        ("open('nowhere')\n", "", "line 1: FileNotFoundError"),
        ("x = 1\n", ":net", "has no Architecture at its top level, so no net"),
        ("x = 1\n", "", "has no Architecture at its top level"),
        (SOURCE, ":tabel", "did you mean table"),
        (SOURCE, ":WIDTH", "WIDTH is a int, not an Architecture"),
        (f"{SOURCE}\nother = table\n", "", "has 2 architectures; name one: .*:table"),
        (None, ":net", "cannot read .*: No such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    own_net: Path, source: str | None, name: str, text: str
) -> None:
    own_net.unlink() if source is None else own_net.write_text(source)
    with pytest.raises(AlexNetError, match=text):
        named_or_own(f"{own_net}{name}")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read"),
        ("{", "net.json: not JSON"),
        ("[]", "net.json: architecture must be an object"),
        ('{"name": "x"}', "net.json: architecture: missing 3 required"),
    ],
)
def test_what_is_wrong_with_json_is_told(tmp_path: Path, content: str | None, text: str) -> None:
    file = tmp_path / "net.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AlexNetError, match=text):
        named_or_own(str(file))


def test_a_recipe_holds_the_whole_table_and_a_config_file_runs_nothing(own_net: Path) -> None:
    recipe = Recipe(arch=TABLE)
    plain = json.loads(json.dumps(to_dict(recipe)))
    assert plain["arch"]["layers"][0]["channels"] == 4
    assert from_dict(Recipe, plain) == recipe
    assert from_dict(Recipe, {"arch": f"{own_net}:table"}).arch == f"{own_net}:table"
    with pytest.raises(AlexNetError, match="must be str"):
        from_dict(Recipe, {"arch": 5})


def test_the_flag_reads_a_file_and_another_flag_leaves_the_table(own_net: Path) -> None:
    default = TrainFlags(recipe=Recipe())
    found = parse(TrainFlags, ["--arch", f"{own_net}:table"], "train", default).recipe
    assert found == replace(Recipe(), arch=TABLE)
    again = parse(TrainFlags, ["--epochs", "3"], "train", TrainFlags(recipe=found)).recipe
    assert again == replace(found, epochs=3)


@pytest.mark.usefixtures("no_plots")
def test_a_run_of_an_own_table_needs_its_file_only_to_begin(
    own_net: Path, flowers: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "run"
    sizes = ("--input-size", 32, "--crop-size", 32, "--resize-size", 36, "--epochs", 1)
    done = command("train", "--arch", f"{own_net}:table", "--data", flowers, *sizes, "--out", out)
    assert done.code == 0, done.err
    own_net.unlink()
    assert command("evaluate", out, "--device", "cpu").code == 0
    again = command("train", "--config", out / "config.json", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    models = [(folder / "model.safetensors").read_bytes() for folder in (out, tmp_path / "again")]
    assert models[0] == models[1]
    assert summarize_run(out).arch == "mine"
