"""Classes and files with odd names, through the commands, CSV files and plots."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alexnet import plots
from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.export_split import write_split
from alexnet.data.store.store import open_store
from alexnet.errors import DataError
from alexnet.plots.labels import MAX_LABEL_WIDTH
from alexnet.training.run_folder import RunFolder
from support.commands import Command

CLASSES = (
    "日本語", "العربية", "emoji😀👩‍👩‍👧", "line\nbreak", "$\\frac{1}$", "\x1b[31mred\x1b[0m", "-rf",
    'quote",comma', "tab\there", " space ", "x" * 200, "cr\rx", "\u202ertl", "not\udcff\udcfeutf8",
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes and pictures with odd names; one picture of the first class is no picture."""
    pictures = sorted((flowers / "train").rglob("*.jpg"))
    folder = tmp_path_factory.mktemp("odd") / "set"
    for i, name in enumerate(CLASSES):
        try:
            (folder / name).mkdir(parents=True)
        except OSError:
            pytest.skip("this file system does not take every name")
        for j in range(2):
            picture = folder / name / f"{j}\n\udcff \x1b[2J.jpg"
            picture.write_bytes(pictures[(2 * i + j) % len(pictures)].read_bytes())
    (folder / CLASSES[0] / "bad\n\udcff.jpg").write_bytes(b"no picture")
    return folder


def is_clean(text: str) -> bool:
    """Nothing that moves a terminal's cursor, and all of it can be written."""
    return text.encode() != b"" and not set(text) & set("\x1b\r\u202e\x7f")


@pytest.mark.slow
def test_data_check_and_prepare(command: Command, odd: Path) -> None:
    told = command("data", "check", odd)
    assert told.code == 1
    assert is_clean(told.out)
    (fault,) = [line for line in told.out.splitlines() if line.startswith("unreadable")]
    assert fault.startswith(f"unreadable  {CLASSES[0]}/bad\\n\\xff.jpg  ")
    assert "not an image" in fault
    found = json.loads(command("data", "check", odd, "--json").out)
    assert sorted(found["class_names"]) == sorted(CLASSES)
    assert f"{CLASSES[0]}/bad\n\udcff.jpg" in {one["name"] for one in found["findings"]}
    told = command("data", "prepare", odd, "--resize-size", "72")
    assert is_clean(told.out)
    facts = json.loads(command("data", "prepare", odd, "--resize-size", "72", "--json").out)
    info = open_store(Path(facts["store"])).info
    assert sorted(info.class_names) == sorted(CLASSES)
    assert info.rejected[0].name == f"{CLASSES[0]}/bad\n\udcff.jpg"


@pytest.mark.slow
def test_train_evaluate_predict(command: Command, odd: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told = command(
        "train", "--data", odd, "--epochs", "1", "--width", "0.05", "--input-size", "67",
        "--crop-size", "67", "--resize-size", "72", "--test-fraction", "0.5", "--out", run,
    )  # fmt: skip
    assert told.code == 0, told.err
    assert is_clean(told.out + told.err)
    told = command("evaluate", run)
    assert told.code == 0
    assert is_clean(told.out + told.err)
    assert sorted(json.loads(command("evaluate", run, "--json").out)["class_names"]) == sorted(
        CLASSES
    )
    told = command("predict", run, odd)
    assert told.code == 1
    assert is_clean(told.out + told.err)
    assert len(told.out.splitlines()) == 2 + 2 * len(CLASSES)
    names = {
        one["image"]
        for one in json.loads(command("predict", run, odd, "--json").out)["predictions"]
    }
    assert str(odd / CLASSES[0] / "bad\n\udcff.jpg") in names


@pytest.mark.slow
def test_csv_of_any_name_on_a_strict_terminal(trained: RunFolder, odd: Path) -> None:
    """A name's bytes come out as they are; Python's own stdout would raise."""
    environment = {
        **os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8:strict",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    words = [sys.executable, "-m", "alexnet", "predict", str(trained.path), str(odd), "--csv"]
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    text = done.stdout.decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["image"] for row in rows if row["label"]} == {
        str(odd / name / f"{i}\n\udcff \x1b[2J.jpg") for name in CLASSES for i in range(2)
    }


@pytest.mark.slow
def test_the_sheet(command: Command, odd: Path, tmp_path: Path) -> None:
    assert command("data", "show", odd, "--out", tmp_path / "x.png", "--num-samples", "0").code == 0


def test_figures_take_any_name() -> None:
    assert plots.short_label("a\nb\udcff") == "a\\nb\\xff"
    assert len(plots.short_label("x" * 300)) == MAX_LABEL_WIDTH


@pytest.mark.slow
def test_a_split_as_folders_and_as_csv(odd: Path, tmp_path: Path) -> None:
    """Folders take every name; a CSV says which one it cannot hold."""
    source = folder_source(odd)
    rows = {"train": np.arange(len(source)), "test": np.arange(0)}
    write_split(source, rows, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "train").iterdir()) == sorted(CLASSES)
    with pytest.raises(DataError, match="a CSV cannot hold the name"):
        write_split(source, rows, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_csv_takes_line_breaks_and_quotes_there_and_back(tmp_path: Path, flowers: Path) -> None:
    picture = next(flowers.rglob("*.jpg")).read_bytes()
    names = ["a\nb", 'q"u,o', "日本語", "$x$"]
    for name in names:
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1\n,2.jpg").write_bytes(picture)
    source = folder_source(tmp_path / "set")
    write_split(source, {"train": np.arange(4)}, tmp_path / "list.csv")
    back = list_source(tmp_path / "list.csv")
    assert back.class_names == source.class_names
    assert {Path(name).name for name in back.names} == {"1\n,2.jpg"}


@pytest.mark.parametrize("label", ["../../out", "/tmp/out", "..", "a/b"])
def test_a_label_of_a_csv_leads_nowhere_else(tmp_path: Path, flowers: Path, label: str) -> None:
    picture = next(flowers.rglob("*.jpg")).read_bytes()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(picture)
    (tmp_path / "list.csv").write_text(f"1.jpg,{label}\n2.jpg,rose\n")
    before = sorted(os.listdir(tmp_path))  # noqa: PTH208
    with pytest.raises(DataError, match="cannot be a folder's name"):
        write_split(
            list_source(tmp_path / "list.csv"), {"train": np.arange(2)}, tmp_path / "deep/er"
        )
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208
