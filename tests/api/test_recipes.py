"""What the first argument and the keywords of `alexnet.train` mean."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import alexnet
from alexnet.api.recipes import changed_recipe, choose_weights, read_call
from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.checkpoints.pretrained_layers import PretrainedInfo
from alexnet.checkpoints.tensors import save_tensors
from alexnet.config.options import option_types
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.presets import FINETUNE, PRESETS, preset
from alexnet.config.published_inputs import PUBLISHED_INPUTS
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.config.scratch_training import SCRATCH_TRAINING
from alexnet.config.serialization import to_json
from alexnet.errors import AlexNetError
from alexnet.io.paths import path_text
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from alexnet.reporter import NullReporter
from alexnet.transforms.statistics import preprocessing_for


def starting_recipe(start: Any = "", config: str | Path = "", **options: Any) -> Recipe:
    return read_call(start, config, options).recipe()


def info_of(recipe: Recipe) -> ModelInfo:
    """Of a model of two classes that a run of the recipe has written."""
    arch = variant(alexnet.architecture(recipe.arch), recipe.model, num_classes=2)
    preprocessing = preprocessing_for(arch, recipe.data_options)
    return ModelInfo(
        architecture=arch, class_names=("a", "b"), preprocessing=preprocessing, recipe=recipe
    )


def test_a_preset_a_recipe_or_nothing_is_a_recipe() -> None:
    assert starting_recipe("flowers17") is PRESETS["flowers17"]
    assert starting_recipe("") == PRESETS["quickstart"]
    recipe = Recipe(epochs=3)
    assert starting_recipe(recipe) is recipe


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("my photos/", "my_photos"),
        (Path("photos"), "photos"),
        ("./flowers17", "flowers17"),
        ("list.csv", "list"),
        ("photos.zip", "photos"),
    ],
)
def test_images_of_ones_own_are_fine_tuned(data: str | Path, name: str) -> None:
    expected = replace(FINETUNE, data=str(data), name=name)
    assert expected.init_from == "auto"
    assert starting_recipe(data) == starting_recipe(data=data) == expected
    assert starting_recipe(data, init_from="torchvision") == replace(
        expected, init_from="torchvision"
    )
    from_scratch = replace(PRESETS["quickstart"], data=str(data), name=name)
    assert starting_recipe(data, init_from="scratch") == from_scratch


def test_named_data_are_trained_from_scratch_unless_weights_are_named() -> None:
    expected = replace(PRESETS["quickstart"], data="cifar10", name="cifar10")
    assert starting_recipe("cifar10") == starting_recipe(data="cifar10") == expected
    assert starting_recipe(Path("flowers17")).init_from == "scratch"
    expected = replace(FINETUNE, data="cifar10", name="cifar10")
    assert starting_recipe("cifar10", init_from="auto") == expected
    assert starting_recipe(init_from="auto") == FINETUNE
    assert starting_recipe("flowers17", init_from="auto", data="x/") is PRESETS["flowers17"]


def test_a_model_to_start_from_brings_its_network_and_input(tiny: Recipe, tmp_path: Path) -> None:
    bias = {"conv1.bias": torch.zeros(3)}
    model = info_of(tiny)
    save_tensors(tmp_path / "model.safetensors", bias, model)
    for source in (tmp_path, str(tmp_path / "model.safetensors")):
        found = starting_recipe("photos/", init_from=source)
        assert (found.arch, found.model) == (tiny.arch, tiny.model)
        assert found.data_options.resize_size == tiny.data_options.resize_size
        assert found.optimizer == FINETUNE.optimizer
    info = PretrainedInfo(
        pretrained=("conv1",), kind="rbm", architecture=alexnet.architecture("alexnet_bn"),
        preprocessing=Preprocessing(), manifest_hash="", data_options=DataOptions(), seed=0,
    )  # fmt: skip
    save_tensors(tmp_path / "layers.safetensors", bias, info)
    found = starting_recipe("photos/", init_from=tmp_path / "layers.safetensors")
    assert found.optimizer == PRESETS["quickstart"].optimizer


@pytest.fixture
def torchvision_file(tmp_path: Path) -> Path:
    """A network of 7 classes and a sixteenth of the width, under torchvision's names."""
    narrow = variant(alexnet.architecture("alexnet_owt"), ModelOptions(width=1 / 16), num_classes=7)
    names = {ours: theirs for theirs, ours in TORCHVISION_NAMES.items()}
    own = Network(narrow).state_dict()
    state = {f"{names[n.split('.')[0]]}.{n.split('.')[1]}": t for n, t in own.items()}
    torch.save(state, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def as_imported_before(model: Path) -> None:
    """Give a model file the recipe that `import` wrote up to now, of few words."""
    weights, info, mean_image = load_model(model)
    found = info.preprocessing
    options = DataOptions(resize=found.resize, resize_size=found.resize_size)
    recipe = Recipe(
        name="imported", data="", arch="alexnet_owt", model=ModelOptions(input_size=224),
        data_options=options, init_from="net.pth",
    )  # fmt: skip
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    save_model(model, weights, replace(info, recipe=recipe), mean_image)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(
    ("preprocessing", "words", "note"),
    [
        ("notebook", ("stretch", 224, "none", "unit"), ""),
        ("torchvision", ("shortest_edge", 256, "imagenet", "imagenet"), ""),
        ("caffe", ("stretch", 253, "imagenet", "pixels"), "minus (122.679, 116.669, 104.007)"),
    ],
)
def test_an_imported_model_brings_what_its_file_says(
    torchvision_file: Path, preprocessing: Any, words: tuple[Any, ...], note: str, is_old: bool
) -> None:
    model = torchvision_file.with_suffix(".safetensors")
    classifier = alexnet.import_model(
        torchvision_file, preprocessing=preprocessing, out=model, reporter=None
    )
    if is_old:
        as_imported_before(model)
    call = read_call("photos/", options={"init_from": str(model)})
    found, notes = choose_weights(call.recipe(), call.recipe, NullReporter())
    assert (found.arch, found.model) == ("alexnet_owt", ModelOptions(width=1 / 16))
    options = found.data_options
    assert (options.resize, options.resize_size, options.mean, options.scale) == words
    arch = variant(ZOO["alexnet_owt"], found.model, num_classes=7)
    assert arch == classifier.info.architecture
    mean, std = classifier.info.preprocessing.mean, classifier.info.preprocessing.std
    assert preprocessing_for(arch, options, mean, std) == classifier.info.preprocessing
    assert notes[0].startswith(f"--from {model} brings --arch alexnet_owt ")
    told = [text for text in notes if text.startswith(str(model))]
    assert len(told) == bool(note)
    assert all(note in text for text in told)


@pytest.fixture
def on_hub(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub whose models are all that of `tiny`."""

    def download(url: str, target: Path, **_: object) -> Path:
        target.parent.mkdir(parents=True)
        save_tensors(target, {"conv1.bias": torch.zeros(3)}, info_of(tiny))
        return target

    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.delenv("ALEXNET_OFFLINE")
    monkeypatch.setattr("alexnet.io.hub.download_unverified", download)


@pytest.mark.usefixtures("on_hub")
def test_a_model_of_the_hub_brings_its_network_as_soon_as_it_is_here(
    tiny: Recipe, tmp_path: Path
) -> None:
    call = read_call(tmp_path, options={"init_from": "hf:me/toy", "lr": 0.5})

    def again(**given: Any) -> Recipe:
        return changed_recipe(call.recipe(**given), {"init_from": "hf:me/toy", "lr": 0.5}, ())

    before = again()
    assert before.arch == FINETUNE.arch != tiny.arch
    with pytest.raises(AlexNetError, match="no folder"):
        choose_weights(replace(before, data="missing/"), again, NullReporter())
    found, _ = choose_weights(before, again, NullReporter())
    assert (found.arch, found.model) == (tiny.arch, tiny.model)
    assert found.data_options.resize_size == tiny.data_options.resize_size
    assert (found.init_from, found.optimizer.lr) == ("hf:me/toy", 0.5)
    assert call.recipe().arch == tiny.arch


@pytest.mark.usefixtures("on_hub")
def test_splits_are_those_of_the_model_of_the_hub(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(recipe: Recipe, reporter: object) -> None:
        assert recipe.data_options.resize_size == tiny.data_options.resize_size
        raise AlexNetError("seen")

    monkeypatch.setattr("alexnet.api.data.prepare_data", prepare)
    with pytest.raises(AlexNetError, match="seen"):
        alexnet.load_splits(tmp_path, init_from="hf:me/toy", reporter=None)


def test_an_architecture_brings_its_own_input_unless_options_say_otherwise() -> None:
    assert starting_recipe(arch="alexnet_bn") == PRESETS["quickstart"]
    for name, (size, stored) in {
        "alexnet": (227, 256), "alexnet_notebook": (224, 224), "lenet5": (32, 32),
        "cifar_quick": (32, 32), "alexnet_2012_half": (224, 256),
    }.items():  # fmt: skip
        found = starting_recipe(arch=name)
        options = found.data_options
        assert (options.resize_size, options.crop_size, found.model.input_size) == (
            stored, None, None,
        )  # fmt: skip
        assert alexnet.architecture(name).input[1] == size
        assert preset("quickstart", arch=name) == found
    assert set(PUBLISHED_INPUTS) == set(alexnet.list_models())
    table = alexnet.variant("alexnet_bn", input_size=112)
    assert starting_recipe("flowers17", arch=table).data_options.resize_size == 128
    options = {"arch": "alexnet", "resize_size": 300, "mean": "rgb"}
    found = changed_recipe(read_call("", "", options).recipe(), options, ())
    assert (found.data_options.resize_size, found.data_options.mean) == (300, "rgb")
    recipe = Recipe(arch="alexnet_bn")
    assert starting_recipe(recipe, arch="lenet5") is recipe


def test_an_architecture_brings_what_it_needs_to_learn_from_random_weights() -> None:
    found = starting_recipe(arch="alexnet")
    assert (found.optimizer.lr, found.model.init, found.model.bias) == (3e-4, "he", 0.0)
    assert found.data_options == replace(
        PUBLISHED_INPUTS["alexnet"], scale="std", val_fraction=found.data_options.val_fraction
    )
    assert found.optimizer == replace(PRESETS["quickstart"].optimizer, lr=3e-4)
    options = {"arch": "alexnet", "lr": 0.01, "init": "published"}
    named = changed_recipe(read_call("", "", options).recipe(), options, ())
    assert (named.optimizer.lr, named.model.init) == (0.01, "published")
    for start, given in (
        ("imagenet_2012", {}),  # another optimizer
        ("flowers17_finetune", {}),  # pretrained weights
        ("", {"arch": alexnet.architecture("alexnet")}),  # a table of one's own
    ):
        found = starting_recipe(start, **{"arch": "alexnet", **given})
        assert found.model.init == "published", start
        assert found.optimizer == PRESETS[start or "quickstart"].optimizer
    assert set(SCRATCH_TRAINING) == set(alexnet.list_models())


def test_what_an_architecture_brings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.training.initial_weights.find_pretrained", Fake(None, "why"))
    scratch = starting_recipe("photos/", arch="caffenet", init_from="scratch")
    told = "--arch caffenet brings --init he --bias 0 --resize stretch --resize-size 256 "
    for start in (scratch, replace(FINETUNE, arch="caffenet")):
        _, notes = choose_weights(start, lambda **_: scratch, NullReporter())
        assert notes[-1].startswith(told)
        assert notes[-1].endswith("--lr 0.0003; other flags win")


def test_the_layer_to_freeze_is_left_out_where_a_network_lacks_it() -> None:
    arch = alexnet.architecture("lenet5")
    layers = (replace(x, name="third") if x.name == "conv3" else x for x in arch.layers)
    table = replace(arch, name="mine", layers=tuple(layers))
    assert FINETUNE.freeze_up_to == "conv3"
    assert starting_recipe("photos/", arch=table).freeze_up_to == ""
    assert starting_recipe("photos/", arch="alexnet_table").freeze_up_to == "conv3"


def test_data_in_the_place_of_a_preset_wins_over_a_config_file(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"data": "other", "epochs": 7}')
    found = starting_recipe("photos/", config)
    assert (found.data, found.epochs, found.init_from) == ("photos/", 7, "auto")
    config.write_text('{"init_from": "scratch", "arch": "lenet5"}')
    found = starting_recipe("photos/", config)
    assert (found.init_from, found.data_options.resize_size) == ("scratch", 32)


class Fake:
    """Torchvision's file, or why there is none."""

    def __init__(self, file: Path | None, reason: str = "") -> None:
        self.answer = file, reason

    def __call__(self, recipe: Recipe, on_progress: object) -> tuple[Path | None, str]:
        return self.answer


def test_nothing_is_downloaded_for_data_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.training.initial_weights.find_pretrained", None)
    for data, text in (("missing/", "no folder 'missing/'"), ("toyflower", "did you mean toyfl")):
        recipe = replace(FINETUNE, data=data)
        with pytest.raises(AlexNetError, match=text):
            choose_weights(recipe, lambda **_: FINETUNE, NullReporter())


def test_auto_is_decided_once_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "alexnet.training.initial_weights.find_pretrained"
    scratch = PRESETS["quickstart"]
    recipe = replace(FINETUNE, init_from="scratch")
    assert choose_weights(recipe, lambda **_: scratch, NullReporter()) == (recipe, ())
    monkeypatch.setattr(where, Fake(Path("/x.pth")))
    chosen, notes = choose_weights(FINETUNE, lambda **_: scratch, NullReporter())
    assert (chosen, notes) == (replace(FINETUNE, init_from="/x.pth"), ())
    monkeypatch.setattr(where, Fake(None, "why"))
    chosen, notes = choose_weights(FINETUNE, lambda **_: FINETUNE, NullReporter())
    assert chosen == recipe
    assert len(notes) == 1
    assert notes[0].startswith("trains from scratch, which")
    assert notes[0].endswith("why")


def test_a_folder_that_exists_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert starting_recipe("photos").data == "photos"
    (tmp_path / "flowers17").mkdir()
    assert starting_recipe("flowers17") is PRESETS["flowers17"]


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("flower17", "unknown preset .nor is it data. 'flower17'; did you mean flowers17"),
        ("alexnet_bn", "'alexnet_bn' is an architecture; name it with --arch alexnet_bn"),
        ("nets.py:table", "nets.py:table is a table of layers, .* with --arch nets.py:table"),
        ("own/nets.py", "with --arch own/nets.py"),
        (5, "the name of a preset, or the path of data; not a int"),
        (["photos/"], "not a list"),
    ],
)
def test_another_word_is_told(start: Any, text: str) -> None:
    with pytest.raises(AlexNetError, match=text):
        starting_recipe(start)


def test_a_config_file_overrides_the_preset_and_keywords_override_that(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"epochs": 7, "seed": 5}')
    start = starting_recipe("flowers17", config)
    assert start == replace(PRESETS["flowers17"], epochs=7, seed=5)
    assert changed_recipe(start, {"seed": 1}, ()) == replace(start, seed=1)


def test_other_data_names_the_run_unless_a_name_is_given() -> None:
    start = PRESETS["flowers17"]
    assert changed_recipe(start, {"data": Path("a b")}, ()).name == "a_b"
    assert changed_recipe(start, {"data": "x", "name": "y"}, ()).name == "y"
    assert changed_recipe(start, {"epochs": 2}, ()).name == "flowers17"


def test_an_architecture_is_a_name_a_value_or_a_file(tmp_path: Path) -> None:
    table = alexnet.architecture("lenet5")
    (tmp_path / "net.json").write_text(to_json(table))
    start = PRESETS["quickstart"]
    for arch in (table, str(tmp_path / "net.json")):
        assert changed_recipe(start, {"arch": arch}, ()).arch == table
    assert changed_recipe(start, {"arch": "lenet5"}, ()).arch == "lenet5"


def test_editors_see_every_option() -> None:
    parameters = set(inspect.signature(alexnet.train).parameters)
    own = {"recipe", "config", "out", "resume", "pretrained", "log", "reporter"}
    assert parameters == own | set(option_types(Recipe))


def test_a_table_is_told_to_be_written() -> None:
    table = SimpleNamespace(columns=["path", "label"], iloc=None)
    for call in (
        lambda: alexnet.train(table, reporter=None),
        lambda: alexnet.train(data=table, reporter=None),
        lambda: alexnet.load_splits(table, reporter=None),
        lambda: path_text(table, "data"),
    ):
        with pytest.raises(AlexNetError, match=r"Namespace; write it .* df\.to_csv\('images\.csv'"):
            call()


@pytest.mark.parametrize(
    "text",
    ["x" * 5000, "a\0b", "~nobody-of-that-name/photos", "data:image/png;base64," + "A" * 6000],
)
def test_texts_that_are_no_paths(tmp_path: Path, text: str) -> None:
    """A text is tried as a path, which the system may refuse otherwise than by its absence."""
    options = {"reporter": None, "out": tmp_path / "run"}
    small = {"data": "toyflowers", "arch": "lenet5"}
    for call in (
        lambda: alexnet.train(text, **options),
        lambda: alexnet.train(**{**small, "data": text}, **options),
        lambda: alexnet.train(**small, init_from=text, **options),
        lambda: alexnet.load_splits(text, reporter=None),
        lambda: alexnet.load(text),
        lambda: alexnet.report(text),
    ):
        with pytest.raises(AlexNetError) as error:
            call()
        assert len(str(error.value)) < 700
