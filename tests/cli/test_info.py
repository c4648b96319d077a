"""`info`: text and JSON of a run, an unfinished run, a file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alexnet.checkpoints.model_file import Scores
from alexnet.cli.info import _file_lines
from alexnet.training.describe import FileDescription
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.run_folders import write_run


def test_a_finished_run(command: Command, trained: RunFolder) -> None:
    result = command("info", trained.path)
    assert (result.code, result.err) == (0, "")
    lines = {line[:10].strip(): line[11:] for line in result.out.splitlines() if line[:10].strip()}
    assert lines["run"].startswith(f"{trained.path}, finished, ")
    assert lines["epochs"] == "3 of 3"
    assert lines["model"].endswith("checksum right")
    assert lines["net"].startswith("alexnet_bn, ")
    assert lines["classes"].startswith("12: bellflower, buttercup, ")
    assert lines["classes"].endswith(", ..."), "ten of them"
    assert lines["input"].startswith("3x67x67")
    assert " of 12 images, 95 % interval " in lines["test error"]
    assert "test top-5 error" in lines["scores"]
    assert lines["use"] == f"alexnet predict {trained.path} IMAGE .."
    assert re.search(
        r"\ntemperature [\d.]+, fitted on 12 validation images\n"
        r" {11}note: the temperature is fitted on 12 images, so by chance ",
        result.out,
    )
    assert "\n             --epochs 3 (preset: " in result.out
    assert "\n             center crop 67\n" in result.out


def model_file(**facts: Any) -> FileDescription:
    """The description of a model file without an architecture."""
    file = FileDescription(
        path=Path("m.safetensors"),
        kind="model",
        size_bytes=1,
        architecture=None,
        parameters=1,
        scores=Scores(),
    )
    return replace(file, **facts)


@pytest.mark.parametrize(("num_classes", "is_shown"), [(3, False), (5, False), (6, True)])
def test_the_top5_error_needs_more_than_five_classes(num_classes: int, is_shown: bool) -> None:
    scored = Scores(test_top1_error=0.25, test_top5_error=0.0)
    file = model_file(scores=scored, class_names=tuple("abcdef"[:num_classes]))
    (scores,) = [text for name, text in _file_lines(file) if name == "scores"]
    assert scores == "test error 25.00 %" + ", test top-5 error 0.00 %" * is_shown


@pytest.mark.parametrize(
    ("temperature", "num_images", "told"),
    [
        (1.0, 0, []),
        (0.624, 0, ["temperature 0.624"]),  # an imported file
        (0.624, 1360, ["temperature 0.624, fitted on 1,360 validation images"]),
    ],
)
def test_the_temperature_of_a_file(temperature: float, num_images: int, told: list[str]) -> None:
    file = model_file(temperature=temperature, num_temperature_images=num_images)
    assert [f"{name} {text}" for name, text in _file_lines(file)][1:] == told


def test_json(command: Command, trained: RunFolder) -> None:
    facts = json.loads(command("info", trained.path, "--json").out)
    assert (facts["schema"], facts["run"]["state"]) == (1, "finished")
    file = facts["file"]
    assert (file["kind"], len(file["class_names"]), file["input"]) == ("model", 12, [3, 67, 67])
    assert file["scores"]["test_top1_error"] == facts["run"]["test_error"]
    assert (file["temperature"] != 1, file["num_temperature_images"]) == (True, 12)
    changes = {change["option"]: change["value"] for change in file["recipe"]["changes"]}
    assert (changes["epochs"], changes["width"]) == (3, 0.05)
    assert facts["environment"]["alexnet"] == "0.1.0"
    alone = json.loads(command("info", trained.model, "--json").out)
    assert (alone["run"], alone["file"], alone["environment"]) == (None, file, {})


def test_an_unfinished_run_says_how_to_resume(command: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", (0.5, 0.25))
    run.model.unlink()
    run.checkpoints.mkdir()
    run.checkpoint(20).write_bytes(b"")
    result = command("info", run.path)
    assert result.code == 0
    assert "epochs     2 of 4, checkpoint after step 20\n" in result.out
    assert "best       validation error 25.00 % after epoch 2\n" in result.out
    assert "problem " in result.out
    assert f"resume     alexnet train --resume {run.path}\n" in result.out


def test_a_diverged_run_says_what_to_do(command: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    run.diverged.write_text("the loss is not finite after step 7; try a lower --lr\n")
    result = command("info", run.path)
    assert "problem    the loss is not finite after step 7" in result.out
    assert f"again      alexnet train --config {run.config} --lr LOWER\n" in result.out
    assert "resume" not in result.out


def test_what_is_neither(command: Command, tmp_path: Path) -> None:
    result = command("info", tmp_path / "nothing")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"alexnet: there is no file {tmp_path / 'nothing'}\n"


@pytest.mark.slow
def test_filters_are_drawn_even_if_they_look_like_noise(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    for source in (trained.path, trained.model):
        image = tmp_path / f"{source.name}.png"
        told = command("info", source, "--filters", image)
        assert (told.code, told.err) == (0, f"filters   {image}\n")
        assert image.read_bytes().startswith(b"\x89PNG")
    told = command("info", trained.path, "--filters", tmp_path / "a.txt")
    assert (told.code, told.out) == (2, "")
    assert ".png" in told.err
