"""What a run folder has of the model before it was trained further."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.training.earlier_results import earlier_results_note
from alexnet.training.run_folder import RunFolder
from support.runs import Witness, resume, train


def exported(folder: Path, file: str, *others: str) -> None:
    """Files as an export writes them, but empty, and their report."""
    for name in (file, *others):
        (folder / name).touch()
    report = folder / f"{file}.json"
    report.write_text(json.dumps({"files": [file, report.name, *others]}))


def test_evaluations_figures_and_exports_are_named(tmp_path: Path) -> None:
    (tmp_path / "my.notes.json").write_text("[]")
    (tmp_path / "other.json").write_text("{")
    assert earlier_results_note(RunFolder(tmp_path)) == ""
    for name in ("evaluation", "evaluation-val", "explain", "plots"):
        (tmp_path / name).mkdir()
    (tmp_path / "evaluation" / "evaluation.json").touch()
    exported(tmp_path, "model.onnx", "predict_model.py")
    exported(tmp_path, "model.pt2")
    (tmp_path / "model.pt2").unlink()
    commands = ", ".join(f"alexnet {verb} {tmp_path}" for verb in ("evaluate", "explain", "export"))
    assert earlier_results_note(RunFolder(tmp_path)) == (
        "of the model before these epochs: evaluation-val/, explain/, model.onnx, "
        f"predict_model.py; made anew by: {commands}; remove exported files before"
    )
    (tmp_path / "evaluation" / "confusion.png").touch()
    assert "epochs: evaluation/*.png, evaluation-val/" in earlier_results_note(RunFolder(tmp_path))


def test_many_names_are_cut(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"evaluation-{number}").mkdir()
    assert ", evaluation-7/, ..; made" in earlier_results_note(RunFolder(tmp_path))


@pytest.mark.usefixtures("small_place", "no_plots")
def test_more_epochs_for_a_finished_run_say_what_is_old(
    small: Recipe, tmp_path: Path, witness: Witness
) -> None:
    short = replace(small, epochs=1, schedule=LRSchedule(), keep_state=True)
    run = train(short, out=tmp_path / "run").folder
    (run.path / "explain").mkdir()
    resume(run.path, epochs=2, reporter=witness)
    told = f"before these epochs: explain/; made anew by: alexnet explain {run.path}"
    assert [note for note in witness.notes if note.endswith(told)]
