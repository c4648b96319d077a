"""More epochs for a run, whether it has ended or not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import LRSchedule, Recipe, SplitMethod, StoppingOptions
from alexnet.config.serialization import to_json
from alexnet.errors import ConfigError, ModelFileError, TrainingError, UsageError
from alexnet.records import LastStep
from alexnet.training.extension import describe_extension, extend
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe
from alexnet.training.schedule import build_scheduler, past_plan
from alexnet.training.state import CheckpointInfo, RunningMetrics
from alexnet.training.timer import Elapsed
from support.commands import Command
from support.noise_stores import noise
from support.runs import PowerCutError, Witness, cut_off, is_same_run, resume, train

pytestmark = pytest.mark.usefixtures("small_place")


@pytest.fixture
def short(small: Recipe) -> Recipe:
    """The small run with one epoch and a constant learning rate; its state is kept."""
    return replace(small, epochs=1, schedule=LRSchedule(), keep_state=True)


def without_state(folder: RunFolder) -> RunFolder:
    """The run without its state, whose header holds measured times, and without its log."""
    folder.remove_checkpoints()
    folder.log.unlink(missing_ok=True)
    return folder


def test_a_finished_run_goes_on_as_if_it_had_been_planned_so(
    short: Recipe, tmp_path: Path, witness: Witness
) -> None:
    """With a constant learning rate; momentum and all else are those of the state."""
    short = replace(short, stopping=StoppingOptions(patience=5))
    first = train(short, out=tmp_path / "run").folder
    assert [path.stem for path in first.saved_checkpoints()] == ["step-000004"]
    run = resume(first.path, epochs=3, reporter=witness)
    assert [report.step for report in witness.steps] == list(range(5, 13))
    assert "1 -> 3 epochs; the result is that of a run planned for 3 epochs" in witness.notes
    assert "--patience 5 cannot end in a run of 3 epochs, and so has no effect" in witness.notes
    assert run.advice[0].startswith("the validation split has 12 images")
    planned = train(replace(short, epochs=3), out=tmp_path / "planned").folder
    assert is_same_run(without_state(run.folder), without_state(planned))


@pytest.mark.slow
def test_a_cosine_is_planned_anew_and_the_config_repeats_the_run(
    small: Recipe, tmp_path: Path, witness: Witness
) -> None:
    cut = cut_off(replace(small, epochs=2), tmp_path / "run", 7)
    run = resume(cut.path, epochs=3, reporter=witness)
    said = [note for note in witness.notes if "2 -> 3 epochs" in note]
    assert said == [
        "2 -> 3 epochs; from step 7 on, the learning rate is that of 3 epochs, "
        "so the result differs from that of a run planned for as many"
    ]
    recipe = read_recipe(run.folder.config)
    assert (recipe.epochs, recipe.schedule.replanned) == (3, ((6, 2),))
    again = train(recipe, out=tmp_path / "again").folder
    assert is_same_run(without_state(again), without_state(run.folder))
    rates = [record.lr for record in read_metrics(again)]
    whole = [record.lr for record in run.history]
    assert rates == whole


def test_learning_rates_by_hand(small: Recipe) -> None:
    schedule = LRSchedule(schedule="cosine", replanned=((2, 1), (5, 2)))
    scheduler = build_scheduler(replace(small, epochs=4, schedule=schedule), steps_per_epoch=4)
    plain = LRSchedule(schedule="cosine")
    for step, epochs in ((0, 1), (1, 1), (2, 2), (4, 2), (5, 4), (15, 4)):
        planned = build_scheduler(replace(small, epochs=epochs, schedule=plain), 4)
        assert scheduler.lr(step) == planned.lr(step)
    assert scheduler.total_steps == 16


@pytest.mark.parametrize(
    ("step", "plan"),
    [(1, ((1, 5),)), (6, ((6, 5),)), (7, ((6, 5), (7, 9))), (10, ((6, 5), (8, 9), (10, 12)))],
)
def test_the_past_plan_by_hand(step: int, plan: tuple[tuple[int, int], ...]) -> None:
    schedule = LRSchedule(schedule="cosine", replanned=((6, 5), (8, 9)))
    assert past_plan(Recipe(epochs=12, schedule=schedule), step) == plan


@pytest.mark.slow
def test_an_extended_run_that_is_killed_resumes(
    small: Recipe, tmp_path: Path, witness: Witness
) -> None:
    """Also from a checkpoint before the extension, since the newest is damaged."""
    folder = cut_off(replace(small, epochs=2), tmp_path / "run", 7)
    with pytest.raises(TrainingError):
        resume(folder.path, epochs=3, save_plot=lambda draw, path: (_ for _ in ()).throw(OSError()))
    whole = resume(folder.path).folder
    other = cut_off(replace(small, epochs=2), tmp_path / "other", 7)
    older = other.saved_checkpoints()[-1].read_bytes()
    assert resume(other.path, epochs=3).folder.config.read_bytes() == whole.config.read_bytes()
    other.result.unlink()
    other.checkpoints.mkdir()
    other.checkpoint(6).write_bytes(older)
    assert is_same_run(without_state(resume(other.path).folder), without_state(whole))


def checkpoint_at(recipe: Recipe, step: int) -> CheckpointInfo:
    """The header of a checkpoint in the first epoch."""
    return CheckpointInfo(
        fingerprint="", recipe=recipe, step=step, metrics=RunningMetrics(), last_step=LastStep(),
        elapsed=Elapsed(), history=(), times=(),
    )  # fmt: skip


def test_the_epochs_of_an_extension_are_corrected(small: Recipe) -> None:
    """Also from a checkpoint before the extension, and from the start: what was planned by then."""
    schedule = LRSchedule(schedule="cosine", replanned=((9, 3),))
    once = replace(small, epochs=20, schedule=schedule)
    for step, replanned in ((9, ((9, 3),)), (6, ((6, 3),)), (11, ((9, 3), (11, 20))), (0, ())):
        info = checkpoint_at(once, step) if step else None
        twice = extend(once, info, epochs=200, stopping=None)
        assert (twice.epochs, twice.schedule.replanned) == (200, replanned)
        assert not step or past_plan(twice, step) == past_plan(once, step)
        end = f"from step {step + 1} on" if step else "the result is that of a run planned for 200"
        assert end in describe_extension(once, twice)


# what ends it early


@pytest.mark.parametrize(
    "stopping", [StoppingOptions(patience=1), StoppingOptions(target_train_error=0.999)], ids=str
)
def test_a_run_that_has_ended_early_and_was_cut_off_in_its_plots_is_finished(
    small: Recipe, tmp_path: Path, stopping: StoppingOptions
) -> None:
    """All its epochs are recorded and `result.json` is not there yet."""
    recipe = replace(small, epochs=9, stopping=stopping)
    whole = train(recipe, out=tmp_path / "whole").folder

    def cut(draw: object, path: Path) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        train(recipe, out=tmp_path / "run", save_plot=cut)
    with pytest.raises(UsageError, match="the run ends after epoch"):
        resume(tmp_path / "run", epochs=10)
    assert is_same_run(resume(tmp_path / "run", epochs=9, stopping=stopping).folder, whole)


@pytest.mark.slow
def test_a_run_that_has_lost_its_patience_gets_more(
    small: Recipe, tmp_path: Path, witness: Witness
) -> None:
    impatient = replace(small, epochs=9, stopping=StoppingOptions(patience=1), keep_state=True)
    run = train(impatient, out=tmp_path / "run")
    ended = len(run.history)
    assert ended < 9
    with pytest.raises(UsageError, match=rf"^the run ends after epoch {ended}: .*--patience 1\)"):
        resume(run.folder.path, epochs=10)
    assert run.folder.result.exists()
    more = StoppingOptions(patience=9)
    assert len(resume(run.folder.path, stopping=more, reporter=witness).history) == 9


# what is refused


def test_what_cannot_go_on(short: Recipe, tmp_path: Path) -> None:
    has_result: list[bool] = []

    def save_page(run: Path, *_: object) -> None:
        has_result.append(RunFolder(run).result.exists())

    folder = train(short, out=tmp_path / "run", save_page=save_page).folder
    assert has_result == [False], "the result is written last, so a run that has one has a page"
    for arguments in ({}, {"epochs": 1}):
        with pytest.raises(TrainingError, match=r"finished already; .* more epochs than its 1"):
            resume(folder.path, **arguments)
    folder.remove_checkpoints()
    with pytest.raises(
        TrainingError,
        match=rf"state was not kept; .* alexnet train {short.data} --from \S+ --split-seed 0 ",
    ):
        resume(folder.path, epochs=3)
    assert folder.result.exists()


@pytest.mark.parametrize("split", ["hash", "random"])
def test_a_run_whose_photos_have_changed_names_the_command_of_a_new_one(
    short: Recipe, flowers: Path, tmp_path: Path, split: SplitMethod
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(flowers / "train", photos)
    options = replace(short.data_options, split=split, test_fraction=0.1)
    recipe = replace(short, data=str(photos), data_options=options)
    folder = train(recipe, out=tmp_path / "run").folder
    noise(next(photos.iterdir()) / "new.png", 1)
    flags = rf"--from \S+ --split-seed 0 --split {split}"
    new_run = rf"have changed .*: alexnet train {photos} {flags}"
    with pytest.raises(ModelFileError, match=new_run) as raised:
        resume(folder.path, epochs=3)
    is_told = "these weights were trained on some of its test images, unless" in str(raised.value)
    assert is_told == (split == "random")


def test_no_fewer_epochs_than_are_done(small: Recipe, tmp_path: Path) -> None:
    folder = cut_off(replace(small, epochs=3), tmp_path / "run", 11)
    with pytest.raises(UsageError, match="--epochs 2 must be above the 2 finished epochs"):
        resume(folder.path, epochs=2)


def test_epochs_changed_by_hand_are_refused_where_they_matter(
    small: Recipe, tmp_path: Path
) -> None:
    folder = cut_off(replace(small, epochs=3), tmp_path / "run", 7)
    folder.config.write_text(folder.config.read_text().replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(ConfigError, match=r"has changed .*\(epochs was 3\)"):
        resume(folder.path)


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_the_command_changes_only_what_ends_a_run(
    command: Command, short: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "short.json").write_text(to_json(short))
    assert command("train", "--config", tmp_path / "short.json", "--out", tmp_path / "r").code == 0
    told = command("train", "--resume", tmp_path / "r", "--lr", 0.5)
    assert (told.code, told.err.strip()) == (
        2,
        "alexnet: --resume cannot change '--lr' of a run, only --epochs, --patience, "
        "--target-train-error, --max-minutes, --devices, --parallel, --exchange",
    )
    told = command("train", "--resume", tmp_path / "r", "--epochs", 2, "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["epochs"] == 2
    assert read_recipe(tmp_path / "r" / "config.json").epochs == 2
