"""Runs that end before their last epoch: by their validation error, or by their time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.config.serialization import to_json
from alexnet.errors import ConfigError
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter
from alexnet.training.epoch import epochs_since_best, reason_to_stop
from alexnet.training.run_folder import RunFolder, read_metrics
from alexnet.training.setup import set_up_training
from support.commands import Command
from support.runs import SetAside, Witness, cut_off, is_same_run, resume, train


def history(*errors: float, split: str = "val") -> list[EpochRecord]:
    """Epochs with these errors on the validation or test images."""
    return [
        EpochRecord(
            epoch=i, step=i, lr=0.1, train_loss=1.0, train_top1_error=0.5, train_top5_error=0.1,
            eval_split=split, eval_loss=1.0, eval_top1_error=error, eval_top5_error=0.1, layers=(),
        )
        for i, error in enumerate(errors, 1)
    ]  # fmt: skip


def same_weights(one: Path, other: Path) -> bool:
    """Whether two model files hold the same bits."""
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# patience


@pytest.mark.parametrize(
    ("errors", "waited"),
    [((), 0), ((0.5,), 0), ((0.5, 0.4, 0.4), 1), ((0.4, 0.5, 0.3), 0), ((0.3, 0.3, 0.5, 0.3), 3)],
)
def test_epochs_since_the_best_by_hand(errors: tuple[float, ...], waited: int) -> None:
    """An equal error is no better one."""
    assert epochs_since_best(history(*errors)) == waited


def test_the_reason_names_the_best_epoch() -> None:
    options = StoppingOptions(patience=2)
    assert reason_to_stop(options, history(0.5, 0.4, 0.4)) == ""
    assert reason_to_stop(options, history(0.5, 0.4, 0.4, 0.6)) == (
        "no validation error has been below that of epoch 2 for 2 epochs (--patience 2)"
    )
    assert reason_to_stop(StoppingOptions(), history(0.1, *[0.4] * 50)) == ""


def test_test_images_never_decide() -> None:
    assert reason_to_stop(StoppingOptions(patience=1), history(0.1, 0.9, 0.9, split="test")) == ""


@pytest.mark.usefixtures("small_place")
def test_a_run_ends_when_its_patience_does_and_resumes_to_the_same_end(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    errors = [record.val_top1_error for record in read_metrics(small_whole)]
    expected = next(i for i in (2, 3) if epochs_since_best(history(*errors[:i])) == 1)  # type: ignore[arg-type]
    patient = replace(small, epochs=9, stopping=StoppingOptions(patience=1))
    run = train(patient, out=tmp_path / "once", reporter=witness)
    assert len(run.history) == expected
    assert any(f"ended after epoch {expected}: no validation" in note for note in witness.notes)
    cut_off(patient, tmp_path / "cut", 4 * expected - 2)
    assert is_same_run(resume(tmp_path / "cut").folder, run.folder)


def test_patience_without_validation_images_says_how_to_get_them(
    tiny: Recipe, set_aside: SetAside
) -> None:
    data = str(set_aside("train", "test"))
    recipe = replace(tiny, data=data, stopping=StoppingOptions(patience=3))
    with pytest.raises(ConfigError, match=r"^--patience 3 needs validation.* --val-fraction 0\.1"):
        set_up_training(recipe, NullReporter())
    options = replace(tiny.data_options, val_fraction=0.34)
    set_up_training(replace(recipe, data_options=options), NullReporter())


# time


@pytest.mark.slow
@pytest.mark.usefixtures("small_place")
def test_a_run_stops_when_its_time_is_up_and_resumes_to_the_same_bits(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    limited = replace(small, stopping=StoppingOptions(max_minutes=1e-9))
    run = train(limited, out=tmp_path / "run", reporter=witness)
    assert (run.is_finished, run.evaluation, len(witness.steps)) == (False, None, 1)
    assert witness.notes[-1] == (
        "stopped by --max-minutes 1e-09 after step 1 of 12, which is saved; "
        f"resume with: alexnet train --resume {tmp_path}/run, which stops after as many minutes "
        "again unless --max-minutes is another number"
    )
    assert load_file(run.folder.model), "what there is can be used"
    sessions = 1
    while not run.is_finished:
        run, sessions = resume(tmp_path / "run"), sessions + 1
    # a step each, and one each for two evaluations; the last step has its own in its session
    assert sessions == 12 + 2
    assert same_weights(run.folder.model, small_whole.model)


@pytest.mark.usefixtures("small_place", "no_plots")
def test_the_command_says_how_to_go_on(command: Command, small: Recipe, tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(to_json(small))
    words = ("train", "--config", tmp_path / "small.json", "--max-minutes", "1e-9", "--out")
    told = command(*words, tmp_path / "run")
    assert told.code == 0
    assert told.out.splitlines()[0] == "stopped by --max-minutes after 0 finished epochs"
    assert f"resume    alexnet train --resume {tmp_path}/run" in told.out
    facts = json.loads(command(*words, tmp_path / "json", "--json").out)
    assert facts["is_finished"] is False
    assert facts["resume_command"] == f"alexnet train --resume {tmp_path}/json"
    assert (tmp_path / "json" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patience": 0}, "--patience 0 must be"), ({"max_minutes": 0.0}, "--max-minutes 0.0 must")],
)
def test_values_out_of_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StoppingOptions(**options)
