"""Checkpoints: how many are kept, which one is resumed from, what is rejected or noted."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from alexnet.checkpoints import tensors
from alexnet.checkpoints.tensors import load_tensors
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.errors import AlexNetError, ConfigError, ModelFileError, TrainingError
from alexnet.reporter import NullReporter, StepReport
from alexnet.runtime.device import NumberType
from alexnet.runtime.environment import describe_environment
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.changed_environment import warn_if_environment_changed
from alexnet.training.checkpointing import CheckpointManager
from alexnet.training.run_folder import RunFolder, config_text, create_run, read_metrics
from alexnet.training.setup import set_up_training
from alexnet.training.state import CheckpointInfo, TrainState
from support.commands import Command
from support.runs import PowerCut, PowerCutError, Witness, cut_off, is_same_run, resume, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("small_place")


class StateWatcher(PowerCut):
    """Counts the checkpoints after each step."""

    def __init__(self, folder: RunFolder, stop_after: int) -> None:
        super().__init__(stop_after)
        self.folder = folder
        self.seen: list[int] = []

    def on_step(self, report: StepReport) -> None:
        self.seen.append(len(self.folder.saved_checkpoints()))
        super().on_step(report)


def saved_steps(folder: RunFolder) -> list[int]:
    """The steps in the headers of a run's checkpoints."""
    return [load_tensors(path, CheckpointInfo)[1].step for path in folder.saved_checkpoints()]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, where the tensors are."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# how many are kept


@pytest.mark.parametrize(
    ("keep", "left"), first_fast([(2, [8, 10]), (1, [10]), (9, [2, 4, 6, 8, 10])])
)
def test_the_newest_checkpoints_are_kept_by_count(
    small: Recipe, tmp_path: Path, keep: int, left: list[int]
) -> None:
    folder = cut_off(replace(small, keep_checkpoints=keep), tmp_path / "run", 11)
    names = [path.name for path in folder.saved_checkpoints()]
    assert names == [f"step-{step:06d}.safetensors" for step in left]
    assert saved_steps(folder) == left


def test_every_step_by_minutes_is_every_step(small: Recipe, tmp_path: Path) -> None:
    folder = cut_off(
        replace(small, save_every_minutes=0.0, keep_checkpoints=99), tmp_path / "run", 6
    )
    assert saved_steps(folder) == [1, 2, 3, 4, 5]


def test_nothing_is_written_twice_at_one_position(small: Recipe, tmp_path: Path) -> None:
    """Writing a large network takes seconds; here a checkpoint is due and asked for at once."""
    setup = set_up_training(small, NullReporter())
    folder = create_run(tmp_path / "run", config_text(small), describe_environment(setup.device))
    stop, state = StopRequest(), TrainState(step=2)
    checkpoints = CheckpointManager(setup, folder, stop)
    checkpoints.save_if_due(state)
    (path,) = folder.saved_checkpoints()
    first = path.stat()
    stop.signal_number = signal.SIGTERM
    for save in (checkpoints.save, checkpoints.save_if_due):
        with suppress(TrainingInterrupted):
            save(state)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    state.step = 3
    checkpoints.save(state)
    assert folder.saved_checkpoints() == [path, folder.checkpoint(3)]


def test_an_old_checkpoint_is_removed_only_after_the_new_one_is_written(
    small: Recipe, tmp_path: Path
) -> None:
    watcher = StateWatcher(RunFolder(tmp_path / "run"), 12)
    with pytest.raises(PowerCutError):
        train(replace(small, save_every_steps=1), out=tmp_path / "run", reporter=watcher)
    assert watcher.seen == [0, 1] + [2] * 10


def test_a_checkpoint_that_cannot_be_saved_stops_the_run_and_says_how_to_resume(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alexnet.checkpoints import tensors as checkpoint

    def full(*arguments: object, **options: object) -> None:
        raise checkpoint.SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(TrainingError) as told:
            train(small, out=tmp_path / "a run")
    assert str(told.value) == (
        f"{tmp_path}/a run/checkpoints/step-000002.safetensors: No space left on device; "
        f"fix that and resume with: alexnet train --resume '{tmp_path}/a run'"
    )
    assert is_same_run(resume(tmp_path / "a run").folder, small_whole)


# which one is taken up


@pytest.mark.parametrize(
    ("damage", "reason"),
    first_fast(
        [
            (flip, "does not match its checksum"),
            (lambda path: path.write_bytes(path.read_bytes()[:-50]), "incomplete or damaged"),
            (lambda path: path.write_bytes(b""), "incomplete or damaged"),
        ]
    ),
    ids=["flipped", "cut", "empty"],
)
def test_a_damaged_checkpoint_is_skipped_and_named(
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    witness: Witness,
    damage: Callable[[Path], object],
    reason: str,
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    damage(folder.checkpoint(10))
    resume(folder.path, reporter=witness)
    (said,) = [note for note in witness.notes if note.startswith("skipped")]
    assert "step-000010.safetensors" in said
    assert reason in said
    assert witness.steps[0].step == 9
    assert is_same_run(folder, small_whole)


@pytest.mark.slow
def test_when_all_are_damaged_the_run_starts_again_and_says_so(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    for path in folder.saved_checkpoints():
        flip(path)
    resume(folder.path, reporter=witness)
    assert len([note for note in witness.notes if note.startswith("skipped")]) == 2
    assert "no checkpoint found; starting from the first step" in witness.notes
    assert [report.step for report in witness.steps] == list(range(1, 13))
    assert is_same_run(folder, small_whole)


@pytest.mark.slow
def test_a_damaged_newer_checkpoint_never_replaces_a_good_one(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    """With one kept, the good state of step 6 must survive beside the damaged one of step 10."""
    folder = cut_off(replace(small, keep_checkpoints=9), tmp_path / "run", 11)
    folder.config.write_text(
        folder.config.read_text().replace('"keep_checkpoints": 9', '"keep_checkpoints": 1')
    )
    for step in (8, 10):
        flip(folder.checkpoint(step))
    with pytest.raises(PowerCutError):
        resume(folder.path, reporter=PowerCut(9))
    assert [path.name for path in folder.saved_checkpoints()] == ["step-000008.safetensors"]
    assert load_tensors(folder.checkpoint(8), CheckpointInfo)[1].step == 8
    run = resume(folder.path).folder
    assert run.metrics.read_bytes() == small_whole.metrics.read_bytes()


@pytest.mark.slow
def test_a_checkpoint_without_its_best_model_is_skipped(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    folder = cut_off(replace(small, keep_checkpoints=9), tmp_path / "run", 11)
    flip(folder.model)
    resume(folder.path, reporter=witness)
    said = [note for note in witness.notes if note.startswith("skipped")]
    assert len(said) == 3
    assert all("model.safetensors" in note for note in said)
    assert witness.steps[0].step == 5, "step 4 was saved before the first epoch was evaluated"
    assert folder.metrics.read_bytes() == small_whole.metrics.read_bytes()


def files_of(folder: RunFolder) -> dict[Path, bytes]:
    """The content of a run's files, but for the log."""
    paths = set(folder.path.rglob("*")) - {folder.log, folder.path / ".lock"}
    return {path: path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_whole_checkpoint_is_never_given_up_for_a_lost_model(
    small: Recipe, tmp_path: Path, is_damaged: bool
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    if is_damaged:
        flip(folder.model)
    else:
        folder.model.rename(tmp_path / "moved")
    before = files_of(folder)
    with pytest.raises(TrainingError, match=r"cannot go on: .*model\.saf.*restore that file, or"):
        resume(folder.path)
    assert files_of(folder) == before
    if not is_damaged:
        (tmp_path / "moved").rename(folder.model)
        assert len(resume(folder.path).history) == 3


@pytest.mark.parametrize("lost", ["model", "checkpoint"])
def test_a_finished_run_whose_state_is_lost_stays_as_it_is(
    small: Recipe, tmp_path: Path, lost: str
) -> None:
    folder = train(replace(small, epochs=1, keep_state=True), out=tmp_path / "run").folder
    (state,) = folder.saved_checkpoints()
    flip(folder.model if lost == "model" else state)
    before = files_of(folder)
    with pytest.raises(TrainingError, match=r"cannot go on: .*does not match its checksum"):
        resume(folder.path, epochs=3)
    assert files_of(folder) == before


@pytest.mark.slow
def test_a_model_of_a_later_epoch_does_no_harm(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    """The best was saved and the power went before the next state was: its steps are done again."""
    folder = cut_off(replace(small, save_every_steps=7), tmp_path / "run", 11)
    assert [path.name for path in folder.saved_checkpoints()] == ["step-000007.safetensors"]
    assert len(read_metrics(folder)) == 2
    resume(folder.path)
    assert folder.metrics.read_bytes() == small_whole.metrics.read_bytes()


@pytest.mark.slow
def test_no_line_is_doubled_while_steps_are_done_again(small: Recipe, tmp_path: Path) -> None:
    """metrics.jsonl was ahead of the state, and the run is looked at before it has ended."""
    folder = cut_off(replace(small, save_every_steps=7), tmp_path / "run", 11)
    for _ in range(2):
        assert [record.epoch for record in read_metrics(folder)] == [1, 2]
        with pytest.raises(PowerCutError):
            resume(folder.path, reporter=PowerCut(11))
    assert len(folder.times.read_text().splitlines()) == 2


def test_a_checkpoint_that_cannot_be_opened_does_not_count_as_damaged(
    small: Recipe, tmp_path: Path, command: Command
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    folder.checkpoint(11).mkdir()
    told = command("train", "--resume", folder.path)
    assert told.code == 2
    assert "step-000011.safetensors: Is a directory" in told.err
    assert len(folder.saved_checkpoints()) == 3


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("check_file", OSError(errno.EIO, os.strerror(errno.EIO))),
        ("safe_open", SafetensorError("Cannot allocate memory (os error 12)")),
    ],
)
def test_a_checkpoint_that_cannot_be_read_now_does_not_count_as_damaged(
    function: str,
    error: Exception,
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    folder = cut_off(small, tmp_path / "run", 11)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    before.pop(folder.path / "run.log")
    with monkeypatch.context() as broken:
        broken.setattr(tensors, function, fail)
        with pytest.raises(
            TrainingError, match=r"step-\d+.safetensors cannot be read now .*changed"
        ):
            resume(folder.path)
    assert {path: path.read_bytes() for path in before} == before
    assert is_same_run(resume(folder.path).folder, small_whole)


@pytest.mark.slow
def test_times_continue_after_a_resume(small: Recipe, tmp_path: Path) -> None:
    """Pictures and waiting of the steps before the state are in the epoch's times."""
    folder = cut_off(small, tmp_path / "run", 8)
    spent = load_tensors(folder.checkpoint(6), CheckpointInfo)[1].elapsed
    assert spent.images == 16
    assert 0 < spent.data_wait_seconds < spent.training_seconds <= spent.elapsed_seconds
    run = resume(folder.path)
    second = run.times[1]
    assert second.elapsed_seconds > spent.elapsed_seconds
    assert second.images_per_second < 32 / spent.training_seconds
    lines = folder.times.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


# what is rejected or said


def test_a_changed_config_is_rejected_and_a_moved_data_set_is_not(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    text = folder.config.read_text()
    folder.config.write_text(text.replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(ConfigError, match=r"config\.json has changed .*\(epochs was 3\)"):
        resume(folder.path)
    moved = Path(small.data).with_name("moved")
    moved.symlink_to(small.data)
    folder.config.write_text(text.replace(f'"{small.data}"', f'"{moved}"'))
    assert resume(folder.path).folder.metrics.read_bytes() == small_whole.metrics.read_bytes()
    moved.unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot read .*config\.json: No such file .*restore config\.json"),
        ("", r"config\.json is not JSON: .*restore config\.json"),
        ('{"epochs": 3', r"config\.json is not JSON: .*restore config\.json"),
        (
            '{"net": {}, "epochs": 3}',
            r"recipe has no key 'net'.*an older version.*restore config\.json",
        ),
        ('{"epochz": 3}', r"no key 'epochz'.*restore config\.json"),
    ],
    ids=["missing", "empty", "cut", "misspelt", "of an older version"],
)
def test_a_lost_or_damaged_config_is_one_sentence(
    small: Recipe, tmp_path: Path, text: str | None, message: str
) -> None:
    folder = cut_off(small, tmp_path / "run", 3)
    folder.config.unlink()
    if text is not None:
        folder.config.write_text(text)
    with pytest.raises(ModelFileError, match=message):
        resume(folder.path)


@pytest.mark.parametrize("text", first_fast([None, "", "[1]", '{"threads": ']), ids=str)
def test_a_missing_or_damaged_environment_is_noted(
    small: Recipe, tmp_path: Path, witness: Witness, text: str | None
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    (folder.path / "environment.json").unlink()
    if text is not None:
        (folder.path / "environment.json").write_text(text)
    resume(folder.path, reporter=witness)
    assert any("environment.json is missing or damaged" in note for note in witness.notes)


@pytest.mark.parametrize(
    ("then", "now"), [("bf16", "float32"), ("float32", "bf16"), ("fp16", "float32")]
)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_another_number_type_is_told(
    then: NumberType, now: NumberType, is_recorded: bool, tmp_path: Path, witness: Witness
) -> None:
    """Also by the environment of an older run, which tells of bf16 alone."""
    before, after = (
        replace(
            describe_environment(torch.device("cpu")),
            has_bf16=auto == "bf16",
            auto_precision=auto,
        )
        for auto in (then, now)
    )
    saved = before if is_recorded else replace(before, auto_precision=None)
    (tmp_path / "environment.json").write_text(to_json(saved))
    warn_if_environment_changed(RunFolder(tmp_path), after, witness)
    told = f"matrix products are now in {now} instead of {then}"
    assert any(told in note for note in witness.notes) == (is_recorded or then != "fp16")
    count = len(witness.notes)
    warn_if_environment_changed(RunFolder(tmp_path), before, witness)
    assert len(witness.notes) == count + (not is_recorded and then == "fp16")


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (("cpu", "Xeon"), ("cuda:0", "H200"), "other random crops and dropout from here on: "),
        (("cuda:0", "H200"), ("cpu", "Xeon"), "other random crops and dropout from here on: "),
        (("cuda:0", "T4"), ("cuda:0", "H200"), "other dropout from here on, as another GPU"),
        (("cuda:0", "T4"), ("cuda:1", "T4"), "the result may differ in its last bits: device "),
        (("cpu", "Xeon"), ("cpu", "Epyc"), "the result may differ in its last bits: device_name"),
    ],
)
def test_it_is_told_what_another_device_draws(
    then: tuple[str, str], now: tuple[str, str], told: str, tmp_path: Path, witness: Witness
) -> None:
    before, here = (
        replace(describe_environment(torch.device("cpu")), device=device, device_name=name)
        for device, name in (then, now)
    )
    (tmp_path / "environment.json").write_text(to_json(before))
    warn_if_environment_changed(RunFolder(tmp_path), here, witness)
    (note,) = witness.notes
    assert note.startswith(told)


def test_a_run_that_another_process_trains_is_left_alone(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    folder = cut_off(small, tmp_path / "run", 11)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with folder.locked(), pytest.raises(TrainingError, match="another process is training"):
        resume(folder.path)
    assert {path: path.read_bytes() for path in before} == before
    assert is_same_run(resume(folder.path).folder, small_whole)


def test_a_finished_run_keeps_no_checkpoints(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    """A kill may fall between the result and the removal of the states."""
    folder = cut_off(small, tmp_path / "run", 11)
    (folder.result).write_bytes(small_whole.result.read_bytes())
    with pytest.raises(TrainingError, match="has finished already"):
        resume(folder.path)
    assert not folder.checkpoints.exists()
    assert not (folder.path / ".lock").exists()


@pytest.mark.parametrize("flag", ["--save-every-steps -1", "--keep-checkpoints 0"])
def test_numbers_out_of_range_are_rejected(command: Command, flag: str) -> None:
    told = command("train", *flag.split())
    assert (told.code, told.out) == (2, "")
    assert flag in told.err


def test_runs_without_a_name_of_their_own_never_meet(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the number between the choice and the making of the folder."""
    monkeypatch.chdir(tmp_path)
    from alexnet.training import run_folder as runs

    free, taken = runs.free_run_path, []

    def slow(parent: Path, name: str) -> Path:
        path = free(parent, name)
        if not taken:
            taken.append(path)
            path.mkdir(parents=True)
            (path / "theirs").touch()
        return path

    monkeypatch.setattr(runs, "free_run_path", slow)
    run = train(replace(small, epochs=1))
    assert run.folder.path == Path("runs/tiny-002")
    assert [path.name for path in taken[0].iterdir()] == ["theirs"]


def test_a_run_folder_is_whole_or_absent(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full between config.json and environment.json leaves no folder."""
    from alexnet.training import run_folder as runs

    def full(target: Path, text: str) -> None:
        if target.name == "environment.json":
            raise OSError(28, "No space left on device", str(target))
        target.write_text(text)

    monkeypatch.setattr(runs, "write_text", full)
    with pytest.raises(AlexNetError, match=r"cannot create the folder .*No space left on device"):
        train(small, out=tmp_path / "deep" / "run")
    assert list((tmp_path / "deep").iterdir()) == []
