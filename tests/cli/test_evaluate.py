"""`evaluate` end to end: metrics as text and JSON, other splits, other folders."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path

import pytest

import alexnet
from alexnet.cli import main
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.places import ROOT

EVALUATION_KEYS = {
    "schema", "data", "split", "num_images", "crops", "top1_error", "top5_error", "accuracy",
    "loss",
    "advice", "calibration", "top1_error_interval", "top5_error_interval",
    "class_names", "classes_without_images", "per_class", "confusion", "confusion_pairs",
    "most_confused", "top_losses", "network",
}  # fmt: skip


def names_in(folder: Path) -> set[str]:
    """Names of the files in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_evaluate(command: Command, own: RunFolder) -> None:
    result = command("evaluate", own.path, "--json")
    facts = json.loads(result.out)
    assert result.code == 0
    assert set(facts) == EVALUATION_KEYS
    assert (facts["split"], facts["num_images"], facts["crops"]) == ("test", 12, 1)
    assert facts["accuracy"] == pytest.approx(1 - facts["top1_error"])
    right = sum(row[i] for i, row in enumerate(facts["confusion"]))
    wrong = 12 - right
    assert facts["top1_error"] == pytest.approx(wrong / 12, abs=1e-12)
    assert sum(loss["label"] == loss["predicted"] for loss in facts["top_losses"]) == right
    assert not any("trained on" in sentence for sentence in facts["advice"])
    saved = json.loads((own.path / "evaluation" / "evaluation.json").read_text())
    assert {key: facts[key] for key in saved} == saved
    assert names_in(own.path / "evaluation") == {
        "evaluation.json",
        "confusion.png",
        "reliability.png",
        "reliability.svg",
        "confusion.svg",
        "top_losses.png",
        "top_losses.csv",
    }
    assert str(own.path / "evaluation") in result.err
    assert "next " not in result.err
    assert facts["confusion"] == json.loads(own.result.read_text())["test"]["confusion"]
    assert facts["network"]["is_optimized"] is False


@pytest.mark.usefixtures("no_plots")
def test_evaluate_the_network_that_predict_answers_with(command: Command, auto: Path) -> None:
    plain = json.loads(command("evaluate", auto, "--json").out)
    facts = json.loads(command("evaluate", auto, "--optimized", "--json").out)
    assert facts["network"]["is_optimized"] is True
    saved = json.loads((auto / "evaluation-optimized" / "evaluation.json").read_text())
    assert saved["network"] == facts["network"]
    expected = alexnet.evaluate(alexnet.load(auto).optimized())
    assert (facts["loss"], facts["num_images"]) == (expected.loss, 12)
    assert facts["loss"] != plain["loss"]
    assert facts["loss"] == pytest.approx(plain["loss"], abs=0.05)
    kind = facts["network"]["number_type"]
    text = command("evaluate", auto, "--optimized").out
    assert f"12 images, 1 crop, optimized for inference ({kind}) (in brackets" in text
    assert "optimized" not in command("evaluate", auto).out


@pytest.mark.usefixtures("no_plots")
def test_a_network_trained_in_float32_stays_as_it_is(command: Command, own: RunFolder) -> None:
    result = command("evaluate", own.path, "--optimized", "--json")
    assert json.loads(result.out)["network"]["is_optimized"] is False
    assert "note: trained with --precision float32, in which predict answers, too\n" in result.err


@pytest.mark.usefixtures("no_plots")
def test_evaluate_ten_crops_as_text(command: Command, own: RunFolder) -> None:
    one, ten = (
        json.loads(command("evaluate", own.path, "--crops", crops, "--json").out)
        for crops in (1, 10)
    )
    assert ten["crops"] == 10
    assert ten["loss"] != one["loss"]
    text = command("evaluate", own.path, "--crops", 10)
    assert "10 crops" in text.out
    assert f"next      alexnet predict {own.path} IMAGE\n" in text.err
    low, high = (100 * ten["top1_error_interval"][end] for end in ("low", "high"))
    error = f"top-1 error {100 * ten['top1_error']:.1f} % ({low:.1f} to {high:.1f} %)"
    assert error in text.out
    assert f"loss {ten['loss']:.4f}" in text.out
    temperature = f"{one['calibration']['temperature']:.3g}"
    assert f"with temperature {temperature}, then averaged over the crops" in text.out
    before = f"{100 * one['calibration']['error_before']:.2f} % without"
    assert before in command("evaluate", own.path).out
    assert all(name in text.out for name in ten["class_names"])
    (listed,) = re.findall(
        r" ls .* \$\(DEMO\)/(.*)/\*\.png$", (ROOT / "Makefile").read_text(), re.M
    )
    assert (own.path / listed).is_dir()  # where `make demo` finds the plots of ten crops


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_evaluate_other_splits_and_other_folders(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    def found(*words: object) -> tuple[str, int, str]:
        """The split, its images, and how many were trained on."""
        result = command("evaluate", own.path, "--json", "--out", tmp_path / "e", *words)
        facts = json.loads(result.out)
        told = re.match("(.*) were trained on", facts["advice"][0])
        return facts["split"], facts["num_images"], told[1] if told else ""

    assert found("--split", "train") == ("train", 36, "these images")
    assert found("--split", "val") == ("val", 12, "")
    assert found("--split", "all") == ("all", 60, "36 of these 60 images")
    shutil.copytree(flowers / "val", tmp_path / "others")
    assert found("--data", tmp_path / "others") == ("all", 12, "")


def test_evaluate_prints_the_metrics_also_if_it_fails_to_write(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    result = command("evaluate", trained.path, "--out", tmp_path / "file")
    assert result.code == 2
    assert "top-1 error" in result.out
    assert len(result.err.splitlines()[-1:]) == 1
    assert str(tmp_path / "file") in result.err
    assert "Traceback" not in result.err
    assert (tmp_path / "file").read_text() == "mine"


class ClosedPipe:
    """An output that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def flush(self) -> None:
        """Nothing."""


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("evaluate", "RUN"), "evaluation.json"),
        (("compare", "RUN", "RUN/model.safetensors"), "comparison.json"),
    ],
)
def test_files_are_written_also_if_nobody_reads_the_output(
    words: tuple[str, ...],
    file: str,
    trained: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in `alexnet evaluate RUN | head -1`."""
    monkeypatch.setattr("sys.stdout", ClosedPipe())
    named = [word.replace("RUN", str(trained.path)) for word in words]
    assert main([*named, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / file).is_file()


@pytest.mark.usefixtures("no_plots")
def test_other_data_splits_and_crops_have_folders_of_their_own(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    shutil.copytree(flowers / "test", tmp_path / "new flowers" / "test")
    for words, name in (
        ((), "evaluation"),
        (("--data", flowers), "evaluation"),
        (("--split", "val", "--crops", 10), "evaluation-val-10-crops"),
        (("--data", tmp_path / "new flowers" / "test"), "evaluation-new_flowers-test"),
    ):
        assert f"plots     {own.path / name}\n" in command("evaluate", own.path, *words).err
        (own.path / name / "evaluation.json").unlink()


@pytest.mark.usefixtures("no_plots")
def test_evaluate_matches_classes_by_name(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    """Two of twelve classes, whose own numbers would be 0 and 1."""
    for name in ("sunflower", "tulip"):
        shutil.copytree(flowers / "test" / name, tmp_path / "two" / name)
    result = command("evaluate", own.path, "--data", tmp_path / "two", "--json")
    note = "two has 2 of the model's 12 classes; predictions and errors are over all 12"
    assert note in " ".join(result.err.split())
    facts = json.loads(result.out)
    assert facts["num_images"] == 2
    assert [sum(row) for row in facts["confusion"]] == [0] * 10 + [1, 1]
    assert len(facts["class_names"]) == 12


@pytest.mark.usefixtures("no_plots")
def test_evaluate_needs_no_training_split_and_one_class_is_enough(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    for split in ("test", "val"):
        shutil.copytree(flowers / "test" / "rose", tmp_path / split / split / "rose")
        facts = json.loads(command("evaluate", own.path, "--data", tmp_path / split, "--json").out)
        assert (facts["split"], facts["num_images"]) == (split, 1)
    (tmp_path / "one.csv").write_text("test/test/rose/0000.jpg,rose,train\n")
    facts = json.loads(command("evaluate", own.path, "--data", tmp_path / "one.csv", "--json").out)
    assert (facts["split"], facts["num_images"]) == ("train", 1)
    told = command("evaluate", own.path, "--data", tmp_path / "test", "--split", "val")
    assert told.code == 2
    assert "no val images; choose another split: test (1), or all" in told.err


@pytest.mark.usefixtures("no_plots")
def test_a_class_without_images_has_dashes_and_null(
    command: Command,
    own: RunFolder,
    flowers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(flowers / "test" / "rose", tmp_path / "few" / "rose")
    facts = json.loads(command("evaluate", own.path, "--data", tmp_path / "few", "--json").out)
    absent = facts["per_class"][0]
    assert (absent["name"], absent["recall"], absent["f1"]) == ("bellflower", None, None)
    assert len(facts["classes_without_images"]) == 11
    told = command("evaluate", own.path, "--data", tmp_path / "few").out
    assert re.search(r"^bellflower +(-|0\.00 %) +- +- +0$", told, re.MULTILINE)
    assert "11 classes have no images in few, all: bellflower, buttercup, " in told
    monkeypatch.setattr("alexnet.cli.evaluate.MAX_EMPTY_ROWS", 10)
    told = command("evaluate", own.path, "--data", tmp_path / "few").out
    assert re.findall(r"^(\w+) .* [01]$", told, re.MULTILINE) == ["rose"]
