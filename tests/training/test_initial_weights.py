"""Sources of initial weights: found, checked, loaded and told."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import alexnet
from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.checkpoints.model_file import save_model
from alexnet.config.presets import FINETUNE
from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError, MissingDataError, ModelFileError, UnknownNameError
from alexnet.interop import torchvision
from alexnet.io.files import remove_folder
from alexnet.models.layers import FullyConnected
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ALEXNET_OWT, architecture
from alexnet.reporter import NullReporter, ProgressCallback
from alexnet.training import initial_weights
from alexnet.training.initial_weights import (
    by_layer,
    find_pretrained,
    frozen_text,
    load_initial_weights,
    read_initial_weights,
    resolve,
    resolve_paths,
)
from alexnet.training.run_folder import read_recipe
from alexnet.training.setup import set_up_training
from alexnet.training.trainer import train
from support.noise_stores import noise
from support.runs import Witness


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A folder with torchvision's convolutions, all 0.5."""
    names = {ours: theirs for theirs, ours in TORCHVISION_NAMES.items()}
    state: dict[str, Tensor] = {}
    for name, shape in torchvision._shapes(ALEXNET_OWT).items():
        layer, _, kind = name.rpartition(".")
        state[f"{names[layer]}.{kind}"] = torch.full(shape, 0.5)
    (tmp_path / "alexnet_owt").mkdir()
    torch.save(state, tmp_path / "alexnet_owt" / "features.pth")
    return tmp_path


def test_paths_become_absolute_and_names_stay(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    recipe = resolve_paths(replace(tiny, data="images", init_from="first.pth", data_root=""))
    assert (recipe.data, recipe.init_from) == (f"{tmp_path}/images", f"{tmp_path}/first.pth")
    assert recipe.data_root == ""
    for word in ("auto", "torchvision", "scratch"):
        assert resolve_paths(replace(tiny, init_from=word)).init_from == word
    (tmp_path / "toyflowers").mkdir()
    assert resolve_paths(replace(tiny, data="toyflowers")).data == "toyflowers"


def test_torchvisions_convolutions_are_found_and_told(data_root: Path, witness: Witness) -> None:
    """The file of the convolutions alone will do; the whole file is preferred."""
    features = data_root / torchvision.FEATURES_FILE
    recipe = replace(FINETUNE, data_root=str(data_root))
    for source in ("auto", "torchvision"):
        found = resolve(replace(recipe, init_from=source), witness)
        assert found.init_from == str(features)
    layers = [
        replace(x, features=4) if isinstance(x, FullyConnected) else x for x in ALEXNET_OWT.layers
    ]
    arch = replace(ALEXNET_OWT, layers=tuple(layers))
    weights = read_initial_weights(found, arch, witness)
    network = Network(arch)
    load_initial_weights(network, found, weights, ("ash", "elm", "fir", "oak"), witness)
    assert network.get_submodule("conv5").weight.unique().tolist() == [0.5]
    assert witness.notes == [
        f"fine-tunes torchvision's weights {features}: conv1, conv2, conv3, conv4, conv5; "
        "randomly initialized: fc6, fc7, fc8; the layers up to conv3 are frozen (--freeze-up-to)"
    ]
    later = frozen_text(replace(found, freeze_after_epoch=2))
    assert later == "; the layers up to conv3 are frozen after epoch 2 (--freeze-up-to)"
    first = frozen_text(replace(found, unfreeze_after_epoch=2))
    assert first == "; the layers up to conv3 are frozen until epoch 2 (--freeze-up-to)"
    assert frozen_text(replace(found, freeze_up_to="")) == ""
    whole = data_root / torchvision.FILE
    whole.touch()
    assert resolve(recipe, witness).init_from == str(whole)


def test_a_training_shows_the_download_of_its_weights(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = iter([(3, 4)])

    def hub_file(source: str, on_progress: ProgressCallback, files: object) -> Path:
        for progress in downloads:  # later calls find the file
            on_progress(*progress)
        return tmp_path / "model.safetensors"

    monkeypatch.setattr(initial_weights.hub, "hub_file", hub_file)
    with pytest.raises(ModelFileError, match="there is no file"):
        train(replace(FINETUNE, init_from="hf:me/flowers"), out=tmp_path / "run", reporter=witness)
    assert witness.progress["on_download"] == [(3, 4)]


def test_without_torchvisions_weights(tmp_path: Path, witness: Witness) -> None:
    recipe = replace(FINETUNE, data_root=str(tmp_path))
    assert resolve(recipe, witness).init_from == "scratch"
    assert len(witness.notes) == 1
    assert (
        "makes more errors than fine-tuning: alexnet-owt-7be5be79.pth is not here"
        in (witness.notes[0])
    )
    assert "by --data-root; or name another file by --from FILE" in witness.notes[0]
    with pytest.raises(MissingDataError, match="put it into"):
        resolve(replace(recipe, init_from="torchvision"), witness)


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (replace(FINETUNE, arch="alexnet_bn"), "its conv1.weight has shape 96x3x11x11, torch"),
        (replace(FINETUNE, model=ModelOptions(width=0.5)), "has shape 32x3x11x11, torchvision's"),
        (replace(FINETUNE, model=ModelOptions(groups=2)), "its conv2.weight has shape 192x32x5x5"),
        (replace(FINETUNE, arch="lenet5"), "its conv1.weight has shape 6x1x5x5"),
        (replace(FINETUNE, model=ModelOptions(norm="batch")), "it has no conv1.bias"),
    ],
)
def test_what_torchvisions_weights_do_not_fit(recipe: Recipe, reason: str, data_root: Path) -> None:
    file, text = find_pretrained(replace(recipe, data_root=str(data_root)))
    assert file is None
    assert reason in text
    assert "--arch alexnet_owt" in text


def test_torchvisions_weights_fit_whatever_the_input_and_the_classes() -> None:
    for options in (ModelOptions(), ModelOptions(input_size=128, dropout=0.0, activation="tanh")):
        assert torchvision.unfit_convolution(variant(ALEXNET_OWT, options, num_classes=5)) == ""


def test_a_word_that_is_no_source(tiny: Recipe, witness: Witness) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown source of weights .*did you mean torchvi"):
        resolve(replace(tiny, init_from="torchvison"), witness)


def test_weights_that_fit_nothing_are_refused(data_root: Path, witness: Witness) -> None:
    recipe = replace(FINETUNE, arch="lenet5", init_from="torchvision")  # not even downloaded
    with pytest.raises(ConfigError, match=r"fit no convolution of lenet5: its conv1.*--arch alex"):
        resolve(recipe, witness)
    found = replace(recipe, init_from=str(data_root / torchvision.FEATURES_FILE))
    weights = read_initial_weights(found, architecture("lenet5"), witness)
    network = Network(architecture("lenet5"))
    with pytest.raises(ModelFileError, match="none of the weights fit lenet5; first: conv1"):
        load_initial_weights(network, found, weights, (), witness)
    grouped = replace(recipe, arch="alexnet_owt", model=ModelOptions(groups=2))
    assert resolve(replace(grouped, data_root=str(data_root)), witness).init_from.endswith(".pth")


def test_a_file_of_torchvisions_that_is_gone_is_named_with_the_way_to_it(
    tmp_path: Path, witness: Witness
) -> None:
    for name in (torchvision.FILE, torchvision.FEATURES_FILE):
        recipe = replace(FINETUNE, init_from=str(tmp_path / name))
        with pytest.raises(MissingDataError, match=r"there is no file .*; --from torchvision"):
            resolve(recipe, witness)


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_a_fine_tuned_run_is_repeated_from_its_config_alone(
    flowers: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_DATA", str(data_root))
    layers = [
        replace(x, features=4) if isinstance(x, FullyConnected) else x for x in ALEXNET_OWT.layers
    ]
    arch = replace(ALEXNET_OWT, input=(3, 64, 64), layers=tuple(layers))
    first = alexnet.train(flowers, arch=arch, epochs=1, out=tmp_path / "first", reporter=None)
    recipe = read_recipe(first.folder.config)
    assert recipe.init_from == str(data_root / torchvision.FEATURES_FILE)
    assert "fine-tunes torchvision's weights" in first.folder.log.read_text()
    frozen = load_file(first.folder.model)["conv1.weight"]
    assert frozen.unique().tolist() == [0.5]
    monkeypatch.delenv("ALEXNET_DATA")
    config, again = first.folder.config, tmp_path / "again"
    second = alexnet.train(config=config, out=again, reporter=None)
    assert second.folder.model.read_bytes() == first.folder.model.read_bytes()
    assert second.folder.config.read_bytes() == config.read_bytes()


@pytest.fixture
def photos(flowers: Path, tmp_path: Path) -> Path:
    """The flowers in class folders, without splits."""
    for i, image in enumerate(sorted(flowers.glob("*/*/*"))):
        (tmp_path / "photos" / image.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "photos" / image.parent.name / f"{i:02}.png")
    return tmp_path / "photos"


def notes_on_test_images(recipe: Recipe) -> list[str]:
    """What the start of a training tells of test images that its weights were trained on."""
    witness = Witness()
    set_up_training(recipe, witness)
    return [note for note in witness.notes if note.startswith("the initial weights were trained")]


def test_test_images_that_the_initial_weights_were_trained_on_are_told(
    tiny: Recipe, photos: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny, data=str(photos))
    setup = set_up_training(recipe, NullReporter())
    file = tmp_path / "first.safetensors"
    save_model(file, setup.network.state_dict(), setup.info)
    again = replace(recipe, init_from=str(file))
    assert notes_on_test_images(again) == []
    (note,) = notes_on_test_images(replace(again, seed=1))
    assert re.search(r"trained on \d+ of the 12 test images, so the test error will be too", note)
    assert note.endswith("train with --split-seed 0 --split stratified")
    same = replace(again, seed=1, data_options=replace(again.data_options, split_seed=0))
    assert notes_on_test_images(same) == []
    noise(next(photos.iterdir()) / "10.png", 1)
    (note,) = notes_on_test_images(again)
    assert "so has its split; give it a test folder of its own, and train with --split hash" in note
    for changes in ({"manifest_hash": ""}, {"manifest_hash": "0" * 16}):
        save_model(file, setup.network.state_dict(), replace(setup.info, **changes))
        assert notes_on_test_images(again) == [], "imported, or its store is not here"


def test_test_images_of_a_split_by_hash_are_found_after_their_files_were_edited(
    tiny: Recipe, photos: Path, tmp_path: Path
) -> None:
    options = replace(tiny.data_options, split="hash", test_fraction=0.4)
    recipe = replace(tiny, data=str(photos), data_options=options)
    setup = set_up_training(recipe, NullReporter())
    file = tmp_path / "first.safetensors"
    save_model(file, setup.network.state_dict(), setup.info)
    again = replace(recipe, init_from=str(file))
    other = replace(again, data_options=replace(options, split="stratified"))
    assert notes_on_test_images(again) == []
    (note,) = notes_on_test_images(other)
    assert note.endswith("train with --split-seed 0 --split hash --test-fraction 0.4")
    for image in photos.glob("*/*"):
        image.write_bytes(image.read_bytes() + b"a comment")
    (note,) = notes_on_test_images(again)
    assert re.search(r"trained on \d+ of the \d+ test images", note)
    assert note.endswith("changes a split by hash; give it a test folder of its own")
    larger = replace(options, resize_size=options.resize_size + 1)
    (note,) = notes_on_test_images(replace(again, data_options=larger))
    assert "it cannot be known how many" in note
    remove_folder(setup.store.folder)
    for one in (again, other):
        (note,) = notes_on_test_images(one)
        assert "it cannot be known how many" in note


def saved_run(recipe: Recipe, file: Path) -> Network:
    """A model file of a randomly initialized network, with the classes of the recipe's data."""
    setup = set_up_training(replace(recipe, seed=7), NullReporter())
    save_model(file, setup.network.state_dict(), setup.info)
    return setup.network


def test_renamed_class_folders_move_the_rows_of_the_last_layer(
    tiny: Recipe, photos: Path, tmp_path: Path, witness: Witness
) -> None:
    """A folder that comes last now, and one of a class that the model does not know."""
    recipe, file = replace(tiny, data=str(photos)), tmp_path / "first.safetensors"
    weight = saved_run(recipe, file).get_parameter("fc8.weight")
    classes = sorted(folder.name for folder in photos.iterdir())
    (photos / classes[0]).rename(photos / "zz_daffodil")
    found = set_up_training(replace(recipe, init_from=str(file)), witness).network
    fresh = set_up_training(recipe, NullReporter()).network.get_parameter("fc8.weight")
    assert torch.equal(found.get_parameter("fc8.weight"), torch.cat([weight[1:], fresh[-1:]]))
    (told,) = [note for note in witness.notes if note.startswith("starts from")]
    assert told.endswith("fc7; randomly initialized: fc8 in part")
    count = len(classes)
    assert f"fc8: {count - 1} of {count} classes from the model; new: zz_daffodil" in witness.notes


def test_class_names_of_other_programs_are_read(
    tiny: Recipe, photos: Path, tmp_path: Path, witness: Witness
) -> None:
    recipe, file = replace(tiny, data=str(photos)), tmp_path / "other.pth"
    state = saved_run(recipe, tmp_path / "first.safetensors").state_dict()
    classes = sorted(folder.name for folder in photos.iterdir())
    backwards = {name: i for i, name in enumerate(reversed(classes))}
    torch.save({"state_dict": state, "class_to_idx": backwards}, file)
    found = set_up_training(replace(recipe, init_from=str(file)), witness).network
    assert torch.equal(found.get_parameter("fc8.bias"), state["fc8.bias"].flip(0))
    assert torch.equal(found.get_parameter("fc8.weight"), state["fc8.weight"].flip(0))
    assert any("fc8: the model has the classes in another order" in n for n in witness.notes)
    torch.save(state, file)
    found = set_up_training(replace(recipe, init_from=str(file)), witness).network
    assert torch.equal(found.get_parameter("fc8.weight"), state["fc8.weight"])
    assert f"first output is now {classes[0]!r}, and so on" in witness.notes[-1]


def test_a_split_by_hash_holds_out_the_same_test_images_when_photos_are_added(
    tiny: Recipe, photos: Path, tmp_path: Path
) -> None:
    by_hash = replace(tiny.data_options, split="hash")
    recipe = replace(tiny, data=str(photos), data_options=by_hash)
    setup = set_up_training(recipe, NullReporter())
    file = tmp_path / "first.safetensors"
    save_model(file, setup.network.state_dict(), setup.info)
    for i in range(3):
        noise(next(photos.iterdir()) / f"new{i}.png", i)
    again = replace(recipe, init_from=str(file))
    assert notes_on_test_images(again) == []
    (note,) = notes_on_test_images(replace(again, data_options=tiny.data_options))
    assert note.endswith("train with --split-seed 0 --split hash")


def test_of_data_that_stayed_a_split_by_hash_is_known_in_another_form(
    tiny: Recipe, photos: Path, tmp_path: Path
) -> None:
    by_hash = replace(tiny.data_options, split="hash")
    setup = set_up_training(replace(tiny, data=str(photos), data_options=by_hash), NullReporter())
    file = tmp_path / "first.safetensors"
    save_model(file, setup.network.state_dict(), setup.info)
    larger = replace(tiny.data_options, resize_size=tiny.data_options.resize_size + 1)
    as_jpeg = replace(tiny.data_options, store_format="jpeg")
    for options in (larger, as_jpeg):
        again = replace(tiny, data=str(photos), data_options=options, init_from=str(file))
        (note,) = notes_on_test_images(again)
        assert note.endswith("train with --split-seed 0 --split hash")


def test_layers_are_named_once_and_split_ones_by_tensor() -> None:
    assert by_layer(["a.weight", "a.bias", "b.weight"], ["b.bias"]) == ["a", "b.weight"]
