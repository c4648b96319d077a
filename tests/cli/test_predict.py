"""`predict` end to end: files, folders and patterns; text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import alexnet
from alexnet.training.run_folder import RunFolder
from support.commands import Command


def test_predict_files_folders_and_patterns(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    rose, test = flowers / "test" / "rose" / "0000.jpg", flowers / "test"
    told = command("predict", trained.path, rose, test / "lily", f"{test}/t*/*.jpg", "--top", 2)
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        str(rose), str(test / "lily" / "0000.jpg"), str(test / "tulip" / "0000.jpg"),
    ]  # fmt: skip
    assert all(line.count("%") == 2 for line in lines[2:])


def test_predict_json_and_csv_say_the_same(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    told = json.loads(command("predict", trained.path, flowers / "test", "--top", 3, "--json").out)
    rows = list(csv.DictReader(io.StringIO(
        command("predict", trained.path, flowers / "test", "--top", 3, "--csv").out
    )))  # fmt: skip
    assert len(told) == 12
    assert list(rows[0]) == ["image", "rank", "label", "probability"]
    assert [(r["image"], int(r["rank"]), r["label"]) for r in rows] == [
        (p["image"], rank, guess["label"])
        for p in told
        for rank, guess in enumerate(p["top_classes"], 1)
    ]
    for prediction in told:
        assert set(prediction) == {"image", "top_classes", "error"}
        shares = [guess["probability"] for guess in prediction["top_classes"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
    shares = [guess["probability"] for p in told for guess in p["top_classes"]]
    for row, share in zip(rows, shares, strict=True):
        assert float(row["probability"]) == pytest.approx(share, abs=1e-6)


def test_predict_names_the_picture_it_cannot_read_and_goes_on(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    good, bad = flowers / "test" / "rose" / "0000.jpg", tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    told = command("predict", trained.path, bad, good, "--json")
    assert told.code == 1
    predictions = json.loads(told.out)
    assert [bool(p["top_classes"]) for p in predictions] == [False, True]
    assert predictions[0]["error"]
    assert len(told.err.splitlines()) == 1
    assert str(bad) in told.err


def test_predict_agrees_with_the_library(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    path = flowers / "test" / "daisy" / "0000.jpg"
    told = json.loads(command("predict", trained.path, path, "--crops", 10, "--json").out)
    (expected,) = alexnet.load(trained.path).predict([path], crops=10)
    assert [g["label"] for g in told[0]["top_classes"]] == [g.label for g in expected.top_classes]
    assert told[0]["top_classes"][0]["probability"] == expected.top_classes[0].probability


def test_predict_reports_its_progress_on_stderr(
    command: Command,
    trained: RunFolder,
    flowers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.cli.console.SECONDS_PER_COUNT", -1.0)
    for number in range(70):
        (tmp_path / f"{number}.jpg").symlink_to(flowers / "test" / "rose" / "0000.jpg")
    told = command("predict", trained.path, tmp_path, "--csv", "--top", 1)
    assert told.err == "classified 64 of 70 images\n"
    assert len(told.out.splitlines()) == 71
