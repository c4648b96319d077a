"""`runs`: the table, sorted, as JSON; `runs clean` and `runs remove`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from alexnet.io.run_paths import find_run
from support.commands import Command
from support.run_folders import RECIPE, write_run

FINISHED = {"top1_error": 0.125, "num_images": 1360}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs, the newest of which is damaged, in the folder where commands are run."""
    folder = tmp_path / "runs"
    paths = [
        write_run(folder / "a", (0.5, 0.25), test=FINISHED).path,
        write_run(folder / "b", (0.5, 0.1), split="test").path,
        write_run(folder / "c", recipe={"data": 1}).path,
    ]
    for age, path in zip((3000, 2000, 1000), paths, strict=True):
        for one in (path, *path.iterdir()):
            os.utime(one, (1_700_000_000 - age,) * 2)
    monkeypatch.chdir(tmp_path)
    return folder


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.split("\n\n")[0].splitlines()[2:]]


def test_the_table(command: Command, runs: Path) -> None:
    result = command("runs")
    assert (result.code, result.err) == (0, "")
    lines = result.out.split("\n\n")[0].splitlines()
    rows = {line.split()[0]: " ".join(line.split()) for line in lines}
    assert rows["a"].startswith("a birds lenet5 2/4 25.00 % val 12.50 % of 1,360 2023-11-14")
    assert rows["b"].startswith("b birds lenet5 2/4 10.00 % test - 2023-11-14")
    assert rows["b"].endswith("bytes unfinished")
    assert rows["c"].endswith("bytes damaged")
    assert "c: config.json is not the recipe of a run" in result.out
    assert names(result.out) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("column", "order"),
    [("name", "abc"), ("error", "bac"), ("test", "abc"), ("epochs", "abc"), ("state", "cab")],
)
def test_sorted(command: Command, runs: Path, column: str, order: str) -> None:
    assert names(command("runs", "--sort", column).out) == list(order)


def test_json(command: Command, runs: Path) -> None:
    facts = json.loads(command("runs", "runs", "--json", "--sort", "name").out)
    assert facts["schema"] == 1
    a, b, c = facts["runs"]
    assert (a["name"], a["data"], a["state"]) == ("a", "/photos/birds", "finished")
    assert (a["best_error"], a["best_split"], a["best_epoch"]) == (0.25, "val", 2)
    assert (b["test_error"], c["state"]) == (None, "damaged")


def test_no_runs_yet(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("runs").out == "no runs in runs; alexnet train starts one\n"
    assert json.loads(command("runs", "--json").out) == {"schema": 1, "runs": []}
    assert command("runs", "other").code == 2


def test_clean_asks_first_and_removes_with_yes(command: Command, runs: Path) -> None:
    nothing = write_run(runs / "nothing", recipe=RECIPE)
    for words in ([], ["--dry-run"], ["--dry-run", "--yes"]):
        listed = command("runs", "clean", *words)
        assert "runs/nothing" in listed.out
        assert "add --yes" in listed.err
    assert nothing.path.exists()
    removed = command("runs", "clean", "--yes")
    assert "runs/nothing" in removed.out
    assert removed.err == ""
    assert sorted(path.name for path in runs.iterdir()) == ["a", "b", "c"]
    assert command("runs", "clean").out == "nothing to remove\n"


def test_remove_takes_names(command: Command, runs: Path) -> None:
    facts = json.loads(command("runs", "remove", "runs/a", "--json").out)
    assert (facts["removed"], facts["paths"][0]["path"]) == (False, "runs/a")
    assert (runs / "a").exists()
    assert command("runs", "remove", "a", "runs/c", "--yes").code == 0
    assert [path.name for path in runs.iterdir()] == ["b"]
    assert "name the run folders" in command("runs", "remove").err
    assert "is not a run folder" in command("runs", "remove", "runs", "--yes").err


@pytest.mark.parametrize(
    "words",
    ["predict {} .", "evaluate {}", "info {}", "compare {} b", "export {} --format onnx",
     "benchmark agreement {}", "train --resume {}", "train . --from {}", "runs remove {}"],
)  # fmt: skip
def test_a_misspelt_run_is_suggested(command: Command, runs: Path, words: str) -> None:
    write_run(runs / "photos-001", recipe={"data": 1})
    for typed in ("photos-01", "runs/photos-01"):
        err = command(*words.format(typed).split()).err
        assert f"no run or file {typed}; did you mean runs/photos-001?" in err


def test_a_file_goes_before_a_run_of_its_name(runs: Path) -> None:
    assert find_run("a") == "runs/a"
    Path("a").write_bytes(b"")
    assert (find_run("a"), find_run(""), find_run("unlike")) == ("a", "", "unlike")
