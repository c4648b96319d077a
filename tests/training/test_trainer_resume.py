"""A run is a function of its recipe: killed, resumed or repeated, it ends in the same bits."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.errors import AlexNetError, ModelFileError, TrainingError
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe
from support.commands import Alexnet
from support.runs import PowerCutError, SetAside, Witness, cut_off, resume, train
from support.slow import first_fast


@pytest.fixture
def eager(tiny: Recipe) -> Recipe:
    """The tiny run, whose state is saved after every step."""
    return replace(tiny, save_every_minutes=0.0)


def wait_for(path: Path, seconds: float = 40) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.005)


# done again


def test_the_config_of_a_run_re_creates_it_to_the_bit(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    assert read_recipe(trained.config) == tiny
    again = train(read_recipe(trained.config), out=tmp_path / "again").folder
    assert again.model.read_bytes() == trained.model.read_bytes()
    assert again.config.read_bytes() == trained.config.read_bytes()


@pytest.mark.slow
def test_another_seed_gives_another_model(tiny: Recipe, trained: RunFolder, tmp_path: Path) -> None:
    other = load_file(train(replace(tiny, seed=1), out=tmp_path / "other").folder.model)
    assert not torch.equal(other["conv1.weight"], load_file(trained.model)["conv1.weight"])


# stopped and resumed


@pytest.mark.parametrize("stop_after", first_fast([4, 6]))
def test_resumed_after_a_step_it_ends_in_the_same_bits(
    eager: Recipe, trained: RunFolder, tmp_path: Path, witness: Witness, stop_after: int
) -> None:
    cut_off(eager, tmp_path / "run", stop_after)
    run = resume(tmp_path / "run", reporter=witness)
    # the unfinished step is repeated; one that ended an epoch was not saved yet
    assert [report.step for report in witness.steps] == list(range(stop_after, 13))
    ours, reference = load_file(run.folder.model), load_file(trained.model)
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    assert ours.keys() == reference.keys()
    assert run.folder.metrics.read_bytes() == trained.metrics.read_bytes()
    assert [times.epoch for times in run.times] == [1, 2, 3]
    assert not run.folder.checkpoints.exists()


@pytest.mark.parametrize("freezing", ["freeze_after_epoch", "unfreeze_after_epoch"])
@pytest.mark.parametrize("rule", first_fast(["paper", "sgd", "adam", "keras_adam"]))
def test_every_optimizer_resumes_in_the_same_bits(
    small: Recipe,
    small_place: RunFolder,
    small_whole: RunFolder,
    tmp_path: Path,
    rule: str,
    freezing: str,
) -> None:
    """Two steps after some layers were frozen, or are no longer."""
    optimizer = OptimizerOptions(optimizer=rule, lr=1e-3)  # type: ignore[arg-type]
    recipe = replace(
        small, optimizer=optimizer, epochs=2, freeze_up_to="conv1", save_every_steps=1,
        init_from=str(small_whole.model),
        **{freezing: 1},  # type: ignore[arg-type]
    )  # fmt: skip
    whole = train(recipe, out=tmp_path / "whole").folder
    cut_off(recipe, tmp_path / "run", 6)
    assert resume(tmp_path / "run").folder.model.read_bytes() == whole.model.read_bytes()


def test_every_augmentation_resumes_in_the_same_bits(
    small: Recipe, small_place: RunFolder, tmp_path: Path
) -> None:
    """Of gray images of 28 pixels."""
    augment = replace(
        small.augment, vertical_flip=True, rotation=15.0, rand_augment=(2, 9), random_erasing=0.5,
        cutmix=0.3, mixup=0.2,
    )  # fmt: skip
    recipe = replace(small, augment=augment, epochs=2, save_every_steps=1)
    whole = train(recipe, out=tmp_path / "whole").folder
    cut_off(recipe, tmp_path / "run", 6)
    run = resume(tmp_path / "run")
    assert run.folder.model.read_bytes() == whole.model.read_bytes()
    assert run.folder.metrics.read_bytes() == whole.metrics.read_bytes()
    assert all(0 < record.train_top1_error <= 1 for record in run.history)


@pytest.mark.slow
def test_killed_and_resumed_it_ends_in_the_same_bytes(
    eager: Recipe, tmp_path: Path, alexnet_process: Alexnet
) -> None:
    """The program as it is started; tests/test_stress.py saves the seconds that this takes."""
    recipe = replace(eager, epochs=12)
    whole = train(recipe, out=tmp_path / "whole").folder
    killed = RunFolder(tmp_path / "killed")
    process = alexnet_process("train", "--config", whole.config, "--out", killed.path)
    wait_for(killed.metrics)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.result.exists(), "the run ended before it could be killed"
    assert killed.config.read_bytes() == whole.config.read_bytes()
    run = resume(killed.path)
    assert run.folder.model.read_bytes() == whole.model.read_bytes()
    assert [record.epoch for record in read_metrics(run.folder)] == list(range(1, 13))


@pytest.mark.slow
def test_what_a_kill_left_half_written_is_cleared_away(eager: Recipe, tmp_path: Path) -> None:
    folder = cut_off(eager, tmp_path / "run", 6)
    for place in (folder.path, folder.plots):
        place.mkdir(exist_ok=True)
        for name in (".tmpAb3dEf", ".model.safetensors.4711.tmp"):
            (place / name).write_bytes(b"half")
    (folder.path / ".my notes").write_text("keep")
    run = resume(tmp_path / "run")
    hidden = [path.name for path in run.folder.path.rglob("*") if path.name.startswith(".")]
    assert hidden == [".my notes"]


@pytest.mark.slow
def test_a_run_without_a_checkpoint_starts_again(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    folder = cut_off(tiny, tmp_path / "run", 9)
    assert len(read_metrics(folder)) == 2
    run = resume(tmp_path / "run")
    assert run.folder.model.read_bytes() == trained.model.read_bytes()
    assert [record.epoch for record in read_metrics(run.folder)] == [1, 2, 3]


@pytest.mark.slow
def test_a_run_stopped_while_its_plots_are_drawn_can_be_finished(
    eager: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    def cut(draw: object, path: Path) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        train(eager, out=tmp_path / "run", save_plot=cut)
    run = resume(tmp_path / "run")
    ours, reference = load_file(run.folder.model), load_file(trained.model)
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    assert run.folder.result.exists()


def test_a_best_model_of_steps_that_were_discarded_is_told(
    small: Recipe, small_place: RunFolder, tmp_path: Path
) -> None:
    """As after a kill, if what is done again differs, such as on another GPU."""

    def cut(draw: object, path: Path) -> None:
        raise PowerCutError

    folder = RunFolder(tmp_path / "run")
    with pytest.raises(PowerCutError):
        train(replace(small, epochs=1), out=folder.path, save_plot=cut)
    plain, told = Witness(), Witness()
    with pytest.raises(PowerCutError):
        resume(folder.path, reporter=plain, save_plot=cut)
    weights, info, mean_image = load_model(folder.model)
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    scores = replace(info.scores, epoch=2, val_top1_error=0.125)
    save_model(folder.model, weights, replace(info, scores=scores), mean_image)
    run = resume(folder.path, reporter=told)
    assert not [note for note in plain.notes if "interrupted" in note]
    (said,) = [note for note in told.notes if "interrupted" in note]
    assert said.startswith("the model is of epoch 2 as it was before the run was interrupted (val")
    assert "12.5 %" in said
    assert said.endswith(f"{100 * (run.history[0].val_top1_error or 0):.1f} % (epoch 1)")
    assert run.validation
    assert run.validation.epoch == 2


@pytest.mark.slow
def test_a_resumed_run_does_not_need_its_initial_weights(
    eager: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    first = Path(shutil.copy(trained.model, tmp_path / "first.safetensors"))
    recipe = replace(eager, init_from=str(first))
    whole = train(recipe, out=tmp_path / "whole").folder
    folder = cut_off(recipe, tmp_path / "run", 6)
    first.unlink()
    resume(folder.path)
    assert folder.model.read_bytes() == whole.model.read_bytes()


@pytest.mark.slow
def test_another_number_of_threads_is_noted(
    eager: Recipe, tmp_path: Path, witness: Witness
) -> None:
    folder = cut_off(eager, tmp_path / "run", 6)
    file = folder.path / "environment.json"
    environment = json.loads(file.read_text())
    threads = environment["threads"]
    file.write_text(json.dumps({**environment, "threads": threads + 6}))
    resume(folder.path, reporter=witness)
    said = [note for note in witness.notes if "may differ" in note]
    assert said == [f"the result may differ in its last bits: threads {threads + 6} -> {threads}"]


# what cannot be resumed


def test_what_cannot_be_resumed(trained: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a run folder"):
        resume(tmp_path)
    with pytest.raises(TrainingError, match="has finished already"):
        resume(trained.path)


@pytest.mark.slow
def test_a_run_does_not_resume_with_other_images(
    eager: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    data = set_aside("train", "test")
    folder = cut_off(replace(eager, data=str(data)), tmp_path / "run", 6)
    (data / "train" / "rose" / "0001.jpg").unlink()
    with pytest.raises(AlexNetError, match="changed"):
        resume(folder.path)
