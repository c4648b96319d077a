"""A pretraining from pictures to the classifier that begins from it: files, bits, what is seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Augmentation, DataOptions, Recipe
from alexnet.errors import ConfigError, ModelFileError, TrainingError, UsageError
from alexnet.inference.classifier import load
from alexnet.pretraining.plots import draw
from alexnet.pretraining.pretrainer import Pretrained, pretrain, resume_pretraining
from alexnet.pretraining.recipe import (
    KINDS,
    AutoencoderRecipe,
    PretrainRecipe,
    RbmRecipe,
    read_pretrain_recipe,
    recipe_text,
)
from alexnet.pretraining.records import LayerStep
from alexnet.pretraining.run_files import layers_file, read_records
from alexnet.training.setup import set_up_training
from support.runs import SetAside, Witness


class LayerWitness(Witness):
    """Remembers the steps of layers too, and may be interrupted at one."""

    def __init__(self, stop_at: int = 0) -> None:
        super().__init__()
        self.layer_steps: list[LayerStep] = []
        self.stop_at = stop_at

    def layer_step(self, report: LayerStep) -> None:
        self.layer_steps.append(report)
        if report.step == self.stop_at:
            raise KeyboardInterrupt

    def layer_epoch(self, record: object) -> None:
        assert record


@pytest.fixture(scope="session")
def small(tiny: Recipe) -> Recipe:
    """The training that follows: the tiny one, without the colours that a batch of 8 needs."""
    return replace(tiny, augment=replace(tiny.augment, color_std=0.0))


def recipe_of(kind: str, training: Recipe) -> PretrainRecipe:
    """Two layers for two epochs of three steps of 12 pictures."""
    return replace(KINDS[kind].before(training), up_to="conv2", epochs=2, batch_size=12)


@pytest.fixture(scope="session", params=["autoencoder", "rbm"])
def finished(
    request: pytest.FixtureRequest, small: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pretrained]:
    """A small pretraining of either kind with its pictures; look at it and do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        out = tmp_path_factory.mktemp("pretrained") / request.param
        yield pretrain(recipe_of(request.param, small), out=out)


def kind_of(run: Pretrained) -> str:
    return read_pretrain_recipe(run.folder.config).kind


# what is left


def test_a_run_folder_holds_what_it_should(finished: Pretrained) -> None:
    folder = finished.folder
    names = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()}
    assert names == {
        "config.json", "environment.json", "metrics.jsonl", "result.json", "model.safetensors",
        "layers.safetensors", "plots/filters.png", "plots/reconstructions.png", "plots/errors.png",
    }  # fmt: skip
    told = [(r.layer, r.epoch) for r in read_records(folder)]
    assert told == [("conv1", 1), ("conv1", 2), ("conv2", 1), ("conv2", 2)]
    assert tuple(read_records(folder)) == finished.history
    facts = json.loads(folder.result.read_text())
    assert facts["kind"] == kind_of(finished)
    assert [layer["layer"] for layer in facts["layers"]] == ["conv1", "conv2"]
    assert facts["unseen_test_pictures"] == 12
    assert (facts["train_pictures"], facts["held_out_pictures"]) == (36, 12)


def test_errors_fall_and_are_measured_on_held_out_pictures_too(finished: Pretrained) -> None:
    conv1 = [record for record in finished.history if record.layer == "conv1"]
    assert conv1[1].train_error < conv1[0].train_error < 1.1
    assert conv1[1].held_out_error < conv1[0].held_out_error
    assert all(0 < record.activity < 1 for record in finished.history)
    gaps = [record.free_energy_gap for record in finished.history]
    assert any(gaps) == (kind_of(finished) == "rbm")


def test_the_model_file_holds_the_finished_stages_alone(finished: Pretrained) -> None:
    weights = load_file(finished.folder.model)
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert set(weights) == {
        *(f"conv{i}.weight" for i in (1, 2)), *(f"bn{i}.{name}" for i in (1, 2) for name in norm)
    }  # fmt: skip
    with pytest.raises(ModelFileError, match=r"not a classifier; train one .*--init-from"):
        load(finished.folder.path)


# determinism


def test_the_config_re_creates_the_run_to_the_bit(
    finished: Pretrained, small: Recipe, tmp_path: Path, no_plots: None
) -> None:
    recipe = read_pretrain_recipe(finished.folder.config)
    assert recipe == recipe_of(kind_of(finished), small)
    again = pretrain(recipe, out=tmp_path / "again").folder
    assert again.config.read_bytes() == finished.folder.config.read_bytes()
    assert again.model.read_bytes() == finished.folder.model.read_bytes()
    assert layers_file(again).read_bytes() == layers_file(finished.folder).read_bytes()


def test_another_seed_gives_other_layers(
    finished: Pretrained, tmp_path: Path, no_plots: None
) -> None:
    recipe = replace(read_pretrain_recipe(finished.folder.config), seed=1, up_to="conv1")
    other = load_file(pretrain(recipe, out=tmp_path / "other").folder.model)
    assert not torch.equal(other["conv1.weight"], load_file(finished.folder.model)["conv1.weight"])


@pytest.mark.parametrize("stop_at", [2, 9])
def test_interrupted_it_leaves_finished_layers_and_goes_on_to_the_same_bits(
    finished: Pretrained, tmp_path: Path, no_plots: None, stop_at: int
) -> None:
    """Step 2 is in conv1, step 9 in conv2."""
    recipe, witness = read_pretrain_recipe(finished.folder.config), LayerWitness(stop_at)
    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe, out=tmp_path / "run", reporter=witness)
    said = witness.notes[-1]
    assert said.endswith(f"alexnet pretrain {recipe.kind} --resume {tmp_path / 'run'}")
    whole = load_file(finished.folder.model)
    if stop_at == 9:
        assert "conv1 finished, usable from" in said
        usable = load_file(tmp_path / "run" / "model.safetensors")
        assert torch.equal(usable["conv1.weight"], whole["conv1.weight"])
        assert "conv2.weight" not in usable
    else:
        assert "no layer is finished" in said
    again = LayerWitness()
    run = resume_pretraining(tmp_path / "run", reporter=again)
    assert again.layer_steps[0].step == (7 if stop_at == 9 else 1)
    assert again.layer_steps[-1].step == again.layer_steps[-1].total_steps == 12
    assert run.folder.model.read_bytes() == finished.folder.model.read_bytes()
    assert [(r.layer, r.epoch) for r in read_records(run.folder)] == [
        (r.layer, r.epoch) for r in finished.history
    ]


def test_what_cannot_be_resumed(
    finished: Pretrained, tiny: Recipe, tmp_path: Path, no_plots: None
) -> None:
    with pytest.raises(ModelFileError, match="is not a run folder"):
        resume_pretraining(tmp_path)
    with pytest.raises(TrainingError, match="has ended already"):
        resume_pretraining(finished.folder.path)
    with pytest.raises(UsageError, match="exists"):
        pretrain(read_pretrain_recipe(finished.folder.config), out=finished.folder.path)
    own = tmp_path / "own"
    shutil.copytree(finished.folder.path, own)
    (own / "result.json").unlink()
    layers = own / "layers.safetensors"
    layers.write_bytes(layers.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"layers\.safetensors"):
        resume_pretraining(own)


# what is seen


def test_test_pictures_are_never_seen(small: Recipe, tmp_path: Path, set_aside: SetAside) -> None:
    """With quite other test pictures, the same layers to the bit."""
    data = set_aside("train", "val", "test")
    recipe = replace(recipe_of("rbm", small), data=str(data), up_to="conv1", epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alexnet.plots.save", lambda figure, path: None)
        first = pretrain(recipe, out=tmp_path / "first").folder.model.read_bytes()
        for path in (data / "test").rglob("*.jpg"):
            Image.effect_noise((40, 40), 90).convert("RGB").save(path)
        second = pretrain(recipe, out=tmp_path / "second").folder.model.read_bytes()
    assert first == second


def test_a_folder_without_classes_is_enough(
    flowers: Path, small: Recipe, tmp_path: Path, no_plots: None
) -> None:
    data = tmp_path / "flat"
    data.mkdir()
    for i, path in enumerate(sorted((flowers / "train").rglob("*.jpg"))[:20]):
        shutil.copy(path, data / f"{i}.jpg")
    recipe = replace(recipe_of("autoencoder", small), data=str(data), up_to="conv1", epochs=1)
    facts = json.loads(pretrain(recipe, out=tmp_path / "run").folder.result.read_text())
    assert (facts["train_pictures"], facts["held_out_pictures"]) == (18, 2)
    assert facts["unseen_test_pictures"] == 0


# the classifier that begins from it


def test_pretrained_layers_arrive_unchanged_in_the_classifier(
    finished: Pretrained, small: Recipe
) -> None:
    witness, weights = Witness(), load_file(finished.folder.model)
    job = set_up_training(replace(small, init_from=str(finished.folder.model)), witness)
    state = job.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    assert [
        note
        for note in witness.notes
        if note.startswith("unused: none; randomly initialised: conv3")
    ]
    assert not [note for note in witness.notes if "the layers" in note]


def test_a_training_on_another_scale_or_split_is_cautioned(
    finished: Pretrained, small: Recipe
) -> None:
    witness = Witness()
    pictures = replace(small.data_options, scale="pixels")
    set_up_training(
        replace(small, init_from=str(finished.folder.model), data_options=pictures), witness
    )
    assert [note for note in witness.notes if "pretrain with its --scale" in note]


def test_a_training_whose_test_was_seen_is_cautioned(
    flowers: Path, small: Recipe, tmp_path: Path, no_plots: None
) -> None:
    """Classes without splits: which pictures are the test's follows from the seed."""
    data = tmp_path / "data"
    shutil.copytree(flowers / "train", data)
    training = replace(small, data=str(data))
    recipe = replace(recipe_of("autoencoder", training), up_to="conv1", epochs=1)
    model = pretrain(recipe, out=tmp_path / "run").folder.model
    for seed, is_fair in ((0, True), (1, False)):
        witness = Witness()
        set_up_training(replace(training, init_from=str(model), seed=seed), witness)
        said = [note for note in witness.notes if "--split-seed 0" in note]
        assert bool(said) != is_fair


# recipes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_pretraining_before_every_preset(kind: str, name: str, tmp_path: Path) -> None:
    training, recipe = PRESETS[name], KINDS[kind].before(PRESETS[name])
    assert (recipe.arch, recipe.model) == (training.arch, training.model)
    assert recipe.augment == replace(training.augment, cutmix=0)
    assert replace(recipe.data_options, val_fraction=0) == replace(
        training.data_options, val_fraction=0
    )
    assert recipe.data_options.val_fraction > 0
    (tmp_path / "config.json").write_text(recipe_text(recipe))
    assert read_pretrain_recipe(tmp_path) == recipe


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (AutoencoderRecipe, {"noise": 1.0}, "--noise 1.0 must be from 0 to below 1"),
        (AutoencoderRecipe, {"noise": -0.1}, "--noise -0.1"),
        (AutoencoderRecipe, {"lr": -1.0}, "--lr -1.0"),
        (AutoencoderRecipe, {"lr": float("nan")}, "--lr is nan"),
        (AutoencoderRecipe, {"epochs": 0}, "--epochs 0"),
        (AutoencoderRecipe, {"watched_pictures": 0}, "--watched-pictures 0"),
        (RbmRecipe, {"cd_steps": 0}, "--cd-steps 0 must be at least 1"),
        (RbmRecipe, {"sparsity_target": 1.0}, "--sparsity-target 1.0"),
        (RbmRecipe, {"sparsity_cost": -1.0}, "--sparsity-cost -1.0"),
        (RbmRecipe, {"momentum": 1.0}, "--momentum 1.0"),
        (RbmRecipe, {"visible_sd": 0.0}, "--visible-sd 0.0"),
        (RbmRecipe, {"seed": -1}, "--seed -1"),
        (RbmRecipe, {"augment": Augmentation(cutmix=0.5)}, "--cutmix 0.5 mixes labels"),
    ],
)
def test_values_out_of_range(
    kind: type[PretrainRecipe], values: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        kind(**values)  # type: ignore[arg-type]


def test_a_rate_that_breaks_a_layer_is_named(small: Recipe, tmp_path: Path, no_plots: None) -> None:
    recipe = RbmRecipe.before(replace(small, data_options=DataOptions(resize_size=72)))
    wild = replace(recipe, up_to="conv1", gaussian_rate=1e30, epochs=4, batch_size=12)
    with pytest.raises(TrainingError, match=r"conv1 is .* try a lower --gaussian-rate than 1e\+30"):
        pretrain(wild, out=tmp_path / "run")


def test_reconstructions_are_drawn_on_the_inputs_scale(finished: Pretrained) -> None:
    assert callable(draw)
    for name in ("filters", "reconstructions", "errors"):
        with Image.open(finished.folder.plots / f"{name}.png") as picture:
            assert min(picture.size) > 100
