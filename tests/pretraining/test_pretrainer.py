"""A pretraining from images to the classifier that is initialized with it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from alexnet.config.recipe import Recipe
from alexnet.errors import ModelFileError, TrainingError, UsageError
from alexnet.inference.classifier import load
from alexnet.pretraining.pretrainer import Pretrained, pretrain, resume_pretraining
from alexnet.pretraining.recipe import read_pretrain_recipe
from alexnet.pretraining.run_files import layers_file, read_records
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import set_up_training
from support.noise_stores import noise
from support.pretraining import LayerWitness, small_recipe
from support.runs import SetAside, Witness
from support.slow import first_fast


def kind_of(run: Pretrained) -> str:
    return read_pretrain_recipe(run.folder.config).kind


# the run folder


def test_the_run_folder(finished: Pretrained) -> None:
    folder = finished.folder
    names = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()}
    assert names == {
        "config.json", "environment.json", "metrics.jsonl", "result.json", "model.safetensors",
        "layers.safetensors", "run.log",
    }  # fmt: skip
    epochs = [(r.layer, r.epoch) for r in read_records(folder)]
    assert epochs == [("conv1", 1), ("conv1", 2), ("conv2", 1), ("conv2", 2)]
    assert tuple(read_records(folder)) == finished.history
    result = json.loads(folder.result.read_text())
    assert result["kind"] == kind_of(finished)
    assert [layer["layer"] for layer in result["layers"]] == ["conv1", "conv2"]
    counts = [result[f"num_{split}_images"] for split in ("train", "val", "test")]
    assert counts == [36, 12, 12]


def test_the_log_has_the_epochs_and_the_end(finished: Pretrained) -> None:
    kept = [line[21:] for line in finished.folder.log.read_text().splitlines()]
    epochs = [line[:16] for line in kept if line.startswith("conv")]
    assert epochs == [
        "conv1  epoch   1",
        "conv1  epoch   2",
        "conv2  epoch   1",
        "conv2  epoch   2",
    ]
    assert kept[-1] == "finished"


def test_one_process_at_a_time_pretrains_a_run(finished: Pretrained, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(finished.folder.path, tmp_path / "run")))
    run.result.unlink()
    with run.locked(), pytest.raises(TrainingError, match="another process is training"):
        resume_pretraining(run.path)


def test_errors_fall_on_training_and_validation_images(finished: Pretrained) -> None:
    first, second = (record for record in finished.history if record.layer == "conv1")
    assert second.train_error < first.train_error < 1.1
    assert first.val_error is not None
    assert second.val_error is not None
    assert second.val_error < first.val_error
    assert all(0 < record.activation_rate < 1 for record in finished.history)
    gaps = [record.free_energy_gap for record in finished.history]
    assert any(gaps) == (kind_of(finished) == "rbm")


def test_the_model_file_holds_only_the_finished_stages(finished: Pretrained) -> None:
    weights = load_file(finished.folder.model)
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert set(weights) == {
        *(f"conv{i}.weight" for i in (1, 2)), *(f"bn{i}.{name}" for i in (1, 2) for name in norm)
    }  # fmt: skip
    with pytest.raises(ModelFileError, match=r"not a classifier; train one .*--from"):
        load(finished.folder.path)


def test_without_validation_images_their_error_is_null(
    training: Recipe, flowers: Path, tmp_path: Path
) -> None:
    data = tmp_path / "flat"
    data.mkdir()
    for i, path in enumerate(sorted((flowers / "train").rglob("*.jpg"))[:12]):
        shutil.copy(path, data / f"{i}.jpg")
    recipe = replace(small_recipe("rbm", training), data=str(data), up_to="conv1", epochs=1)
    recipe = replace(recipe, data_options=replace(recipe.data_options, val_fraction=0.0))
    run = pretrain(recipe, out=tmp_path / "run", plots=False)
    result = json.loads(run.folder.result.read_text())
    assert result["num_val_images"] == 0
    assert result["layers"][0]["val_error"] is None
    assert run.history[0].val_error is None
    assert run.history[0].free_energy_gap == 0


# determinism


@pytest.mark.slow
@pytest.mark.usefixtures("with_store")
def test_the_config_reproduces_the_run_bit_for_bit(
    finished: Pretrained, training: Recipe, tmp_path: Path
) -> None:
    recipe = read_pretrain_recipe(finished.folder.config)
    assert recipe == small_recipe(kind_of(finished), training)
    again = pretrain(recipe, out=tmp_path / "again", plots=False).folder
    assert again.config.read_bytes() == finished.folder.config.read_bytes()
    assert again.model.read_bytes() == finished.folder.model.read_bytes()
    assert layers_file(again).read_bytes() == layers_file(finished.folder).read_bytes()


@pytest.mark.usefixtures("with_store")
def test_another_seed_gives_other_layers(finished: Pretrained, tmp_path: Path) -> None:
    recipe = replace(read_pretrain_recipe(finished.folder.config), seed=1, up_to="conv1", epochs=1)
    other = load_file(pretrain(recipe, out=tmp_path / "other", plots=False).folder.model)
    assert not torch.equal(other["conv1.weight"], load_file(finished.folder.model)["conv1.weight"])


@pytest.mark.usefixtures("with_store")
@pytest.mark.parametrize("stop_at", first_fast([2, 9]))
def test_an_interrupted_pretraining_keeps_finished_layers_and_resumes_to_the_same_bits(
    finished: Pretrained, tmp_path: Path, stop_at: int
) -> None:
    """Step 2 is in conv1, step 9 in conv2."""
    recipe, witness = read_pretrain_recipe(finished.folder.config), LayerWitness(stop_at)
    with pytest.raises(TrainingInterrupted) as stopped:
        pretrain(recipe, out=tmp_path / "run", plots=False, reporter=witness)
    message = str(stopped.value)
    assert message.endswith(f"alexnet pretrain {recipe.kind} --resume {tmp_path / 'run'}")
    whole = load_file(finished.folder.model)
    if stop_at == 9:
        assert "conv1 finished, usable from" in message
        partial = load_file(tmp_path / "run" / "model.safetensors")
        assert torch.equal(partial["conv1.weight"], whole["conv1.weight"])
        assert "conv2.weight" not in partial
    else:
        assert "no layer is finished" in message
    again = LayerWitness()
    run = resume_pretraining(tmp_path / "run", plots=False, reporter=again)
    assert again.notes[-2:] == [
        f"resuming {'after conv1' if stop_at == 9 else 'at the first layer'}",
        f"run folder {tmp_path / 'run'}",
    ]
    assert again.layer_steps[0].step == (7 if stop_at == 9 else 1)
    assert again.layer_steps[-1].step == again.layer_steps[-1].total_steps == 12
    assert run.folder.model.read_bytes() == finished.folder.model.read_bytes()
    assert [(r.layer, r.epoch) for r in read_records(run.folder)] == [
        (r.layer, r.epoch) for r in finished.history
    ]


def test_what_cannot_be_resumed(finished: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a run folder"):
        resume_pretraining(tmp_path)
    with pytest.raises(TrainingError, match="is finished; its model is"):
        resume_pretraining(finished.folder.path)
    with pytest.raises(UsageError, match="exists"):
        pretrain(read_pretrain_recipe(finished.folder.config), out=finished.folder.path)


# which images are read


@pytest.mark.slow
def test_test_images_are_never_read(training: Recipe, tmp_path: Path, set_aside: SetAside) -> None:
    """With very different test images the layers are the same, bit for bit."""
    data = set_aside("train", "val", "test")
    recipe = replace(small_recipe("rbm", training), data=str(data), up_to="conv1", epochs=1)
    first = pretrain(recipe, out=tmp_path / "first", plots=False).folder.model.read_bytes()
    for path in (data / "test").rglob("*.jpg"):
        Image.effect_noise((40, 40), 90).convert("RGB").save(path)
    second = pretrain(recipe, out=tmp_path / "second", plots=False).folder.model.read_bytes()
    assert first == second


def test_a_folder_without_classes_is_enough(
    flowers: Path, training: Recipe, tmp_path: Path
) -> None:
    data = tmp_path / "flat"
    data.mkdir()
    for i, path in enumerate(sorted((flowers / "train").rglob("*.jpg"))[:20]):
        shutil.copy(path, data / f"{i}.jpg")
    recipe = replace(small_recipe("autoencoder", training), data=str(data), up_to="conv1", epochs=1)
    run = pretrain(recipe, out=tmp_path / "run", plots=False)
    result = json.loads(run.folder.result.read_text())
    counts = [result[f"num_{split}_images"] for split in ("train", "val", "test")]
    assert counts == [18, 2, 0]


# the classifier that is initialized with it


@pytest.mark.usefixtures("with_store")
def test_pretrained_layers_arrive_unchanged_in_the_classifier(
    finished: Pretrained, training: Recipe
) -> None:
    witness, weights = Witness(), load_file(finished.folder.model)
    setup = set_up_training(replace(training, init_from=str(finished.folder.model)), witness)
    state = setup.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    assert [note for note in witness.notes if "randomly initialized: conv3" in note]
    assert not [note for note in witness.notes if note.startswith("unused")]
    assert not [note for note in witness.notes if "the layers" in note]


@pytest.mark.usefixtures("with_store")
def test_a_training_with_another_input_scale_is_warned(
    finished: Pretrained, training: Recipe
) -> None:
    witness = Witness()
    options = replace(training.data_options, scale="pixels")
    set_up_training(
        replace(training, init_from=str(finished.folder.model), data_options=options), witness
    )
    assert [note for note in witness.notes if "pretrain with its --scale" in note]


def test_a_training_with_another_split_is_warned(
    flowers: Path, training: Recipe, tmp_path: Path
) -> None:
    """Without splits in the data set, the seed decides which images are for the test."""
    data = tmp_path / "data"
    shutil.copytree(flowers / "train", data)
    half = replace(training.data_options, test_fraction=0.5)
    training = replace(training, data=str(data), data_options=half)
    recipe = replace(small_recipe("autoencoder", training), up_to="conv1", epochs=1)
    model = pretrain(recipe, out=tmp_path / "run", plots=False).folder.model
    fewer = replace(half, test_per_class=1)  # of the images that the pretraining held out
    for seed, options, is_warned in ((0, half, False), (0, fewer, False), (1, half, True)):
        witness = Witness()
        later = replace(training, init_from=str(model), seed=seed, data_options=options)
        set_up_training(later, witness)
        warnings = [note for note in witness.notes if "--test-fraction 0.5" in note]
        assert bool(warnings) == is_warned
    noise(next(data.iterdir()) / "new.png", 1)
    witness = Witness()
    set_up_training(replace(training, init_from=str(model)), witness)
    told = r"the layers were pretrained on \d+ of the \d+ test images.*a test folder of its own"
    assert any(re.search(told, note) for note in witness.notes)
