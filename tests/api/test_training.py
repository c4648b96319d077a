"""`alexnet.train` and `alexnet.pretrain` by names, paths and keywords: the same bits as recipes."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import alexnet
from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError
from alexnet.reporter import Reporter, StepReport, StopTraining
from alexnet.training import lr_finder, trainer
from alexnet.training.run_folder import RunFolder
from support.runs import Witness, empty_plot

WORDS = {
    "arch": "lenet5",
    "width": 0.5,
    "input_size": None,
    "resize_size": 32,
    "crop_size": None,
    "epochs": 1,
    "batch_size": 24,
    "precision": "float32",
}


@pytest.fixture
def place(small_place: RunFolder, no_plots: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the image store of the flowers."""
    monkeypatch.chdir(small_place.path.parent)
    return small_place.path.parent


def test_words_train_the_same_bits_as_a_recipe(flowers: Path, place: Path) -> None:
    run = alexnet.train(flowers, reporter=None, **WORDS)
    recipe = alexnet.preset("quickstart", data=str(flowers), name="flowers", **WORDS)
    whole = trainer.train(recipe, out=place / "whole", save_plot=empty_plot)
    assert run.folder.path == Path("runs/flowers-001")
    assert run.folder.config.read_bytes() == whole.folder.config.read_bytes()
    assert run.folder.model.read_bytes() == whole.folder.model.read_bytes()


def test_progress_is_for_stderr_for_a_reporter_or_for_nobody(
    small: Recipe, place: Path, witness: Witness, capsys: pytest.CaptureFixture[str]
) -> None:
    short = replace(small, epochs=1)
    alexnet.train(short, reporter=None)
    assert capsys.readouterr() == ("", "")
    alexnet.train(short, reporter=witness)
    assert capsys.readouterr() == ("", "")
    assert len(witness.epochs) == 1
    alexnet.train(short)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "run folder" in shown.err
    assert "epoch" in shown.err
    assert "\x1b" not in shown.err


def test_a_class_derived_from_reporter_needs_only_the_methods_it_uses(
    small: Recipe, place: Path
) -> None:
    epochs: list[int] = []

    class Epochs(Reporter):
        def on_epoch(self, record: Any, times: Any) -> None:
            epochs.append(record.epoch)

    alexnet.train(replace(small, epochs=2), reporter=Epochs())
    assert epochs == [1, 2]


def test_another_value_is_no_reporter(small: Recipe) -> None:
    with pytest.raises(AlexNetError, match=r"reporter=.* has no method note; .* alexnet\.Reporter"):
        alexnet.train(small, reporter=print)  # type: ignore[arg-type]


def test_notes_and_advice_are_in_the_words_of_python(
    small: Recipe, place: Path, witness: Witness
) -> None:
    run = alexnet.train(replace(small, epochs=1, batch_size=20), reporter=witness)
    told = " ".join([*witness.notes, *run.advice])
    assert " batch_size=" in told
    assert " --" not in told.replace(" --filters", "")  # of a command of the shell
    assert "on_start" in witness.progress, "methods that a reporter need not have"


def test_how_an_unfinished_run_is_resumed_is_told_in_python(small: Recipe, place: Path) -> None:
    run = alexnet.train(small, max_minutes=1e-9, out="runs/a", reporter=None)
    assert "resume with alexnet.resume('runs/a')" in html.unescape(run._repr_html_())

    class Failing(Reporter):
        def on_epoch(self, record: Any, times: Any) -> None:
            raise ZeroDivisionError

    recipe = replace(small, save_every_steps=None)
    with pytest.raises(ZeroDivisionError) as failure:
        alexnet.train(recipe, out="runs/b", reporter=Failing())
    assert failure.value.__notes__[0].endswith("; resume with: alexnet.resume('runs/b')")
    (place / "runs/b/model.safetensors").unlink()
    with pytest.raises(AlexNetError, match=r"resume it after step 4: alexnet\.resume\('runs/b'\)"):
        alexnet.load("runs/b")


def test_a_learning_rate_is_found_by_words(
    flowers: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lr_finder, "NUM_STEPS", 12)
    words = {name: value for name, value in WORDS.items() if name != "epochs"}
    found = alexnet.find_lr(flowers, reporter=None, **words)
    assert isinstance(found, alexnet.LRRangeTest)
    assert (found.lrs[0], found.lrs[-1]) == (1e-6, pytest.approx(10))
    assert re.fullmatch(r"LRRangeTest\(suggestion \S+, 12 steps from 1e-06 to 10\)", repr(found))
    assert len(found.plot("lenet5").axes) == 1
    assert "<img" in found._repr_html_()
    assert not (place / "runs").exists()
    with pytest.raises(AlexNetError, match="unknown option 'learning_rate'; it is called lr here"):
        alexnet.find_lr(flowers, reporter=None, learning_rate=0.1)


@pytest.mark.parametrize("last", [1, 4, 10])
def test_a_reporter_ends_a_range_test(flowers: Path, place: Path, last: int) -> None:
    """Before the tenth step there is a curve, but no suggestion."""

    class Stopping(Reporter):
        def on_step(self, report: StepReport) -> None:
            if report.step == last:
                raise StopTraining

    words = {name: value for name, value in WORDS.items() if name != "epochs"}
    found = alexnet.find_lr(flowers, reporter=Stopping(), **words)
    assert len(found.lrs) == len(found.losses) == last
    assert last == 10 or found.suggestion is None
    assert len(found.plot().axes) == 1


def test_a_run_is_resumed_by_its_folder_or_as_a_keyword(trained: RunFolder) -> None:
    for resume in (
        lambda: alexnet.resume(trained.path, reporter=None),
        lambda: alexnet.train(resume=trained.path, reporter=None),
    ):
        with pytest.raises(AlexNetError, match="finished"):
            resume()
    with pytest.raises(AlexNetError, match="resume= continues the run of a folder"):
        alexnet.train("flowers17", resume=trained.path, reporter=None)


def test_a_finished_run_goes_on_with_more_epochs(small: Recipe, place: Path) -> None:
    run = alexnet.train(replace(small, epochs=1, keep_state=True), reporter=None)
    longer = alexnet.resume(run, epochs=2, reporter=None)
    assert [record.epoch for record in longer.history] == [1, 2]
    again = alexnet.train(resume=run.folder.path, epochs=9, max_minutes=1e-6, reporter=None)
    assert not again.is_finished


@pytest.mark.slow
def test_pretraining_by_words(flowers: Path, place: Path) -> None:
    words = {**WORDS, "up_to": "conv1", "batch_size": 8}
    del words["precision"]
    done = alexnet.pretrain("autoencoder", flowers, plots=False, reporter=None, **words)
    assert [record.layer for record in done.history] == ["conv1"]
    assert done.folder.path.name == "flowers-autoencoder-001"


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (("rbms",), {}, "unknown kind of pretraining 'rbms'; did you mean rbm"),
        (("rbm", "flowers"), {}, "unknown preset"),
        (("rbm",), {"cd_step": 1}, "unknown option 'cd_step'; did you mean cd_steps"),
        (("rbm",), {"masking_fraction": 0.1}, "unknown option 'masking_fraction'"),
    ],
)
def test_a_wrong_word_of_pretraining_is_told(
    arguments: tuple[str, ...], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(AlexNetError, match=text):
        alexnet.pretrain(*arguments, reporter=None, **options)


def test_float64_as_torchs_default_changes_nothing(flowers: Path, place: Path) -> None:
    expected = alexnet.train(flowers, reporter=None, **WORDS)
    torch.set_default_dtype(torch.float64)
    try:
        run = alexnet.train(flowers, reporter=None, **WORDS)
        classifier = alexnet.load(run, "cpu")
        assert torch.get_default_dtype() == torch.float64
        found = classifier.predict(sorted(flowers.glob("test/*/*"))[:3])
        dtypes = {value.dtype for value in alexnet.create_model("lenet5").state_dict().values()}
    finally:
        torch.set_default_dtype(torch.float32)
    assert run.folder.model.read_bytes()[-64:] == expected.folder.model.read_bytes()[-64:]
    assert found == alexnet.load(expected, "cpu").predict(sorted(flowers.glob("test/*/*"))[:3])
    assert dtypes == {torch.float32}
