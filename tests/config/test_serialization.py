"""Frozen dataclasses to JSON and back, and the errors for invalid values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe, StoppingOptions
from alexnet.config.serialization import from_dict, to_dict, to_json
from alexnet.errors import ArchitectureError, ConfigError
from alexnet.io.text import is_file_name
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.models.variants import ModelOptions
from alexnet.models.zoo import ZOO
from alexnet.records import EpochRecord, LayerUpdate


@pytest.mark.parametrize("name", ZOO)
def test_architectures_round_trip(name: str) -> None:
    assert from_dict(Architecture, json.loads(to_json(ZOO[name])), "architecture") == ZOO[name]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip(name: str) -> None:
    assert from_dict(Recipe, json.loads(to_json(PRESETS[name]))) == PRESETS[name]


def test_records_round_trip() -> None:
    layers = tuple(
        LayerUpdate(name=f"conv{i}.weight", weight=1.0, update=0.1, ratio=0.1) for i in (1, 2)
    )
    record = EpochRecord(
        epoch=1,
        step=9,
        lr=0.1,
        train_loss=2.5,
        train_top1_error=0.5,
        train_top5_error=0.1,
        eval_split="val",
        eval_loss=2.0,
        eval_top1_error=0.6,
        eval_top5_error=0.2,
        layers=layers,
    )
    text = to_json(record, indent=None)
    assert "\n" not in text
    assert from_dict(EpochRecord, json.loads(text)) == record


def test_plain_by_hand() -> None:
    assert to_dict(Conv("c", 4, 3, init=Init(bias=1.0))) == {
        "kind": "conv",
        "name": "c",
        "channels": 4,
        "kernel": 3,
        "stride": 1,
        "padding": 0,
        "extra_padding": 0,
        "groups": 1,
        "bias": True,
        "init": {"kind": "normal", "std": 0.01, "bias": 1.0},
    }


def test_tuples_are_lists_and_come_back_as_tuples() -> None:
    plain = to_dict(LRSchedule(milestones=(3, 9)))
    assert plain["milestones"] == [3, 9]
    assert from_dict(LRSchedule, plain).milestones == (3, 9)
    assert from_dict(LRSchedule, {"milestones": []}).milestones == ()


def test_text_keeps_other_scripts() -> None:
    assert "Frühling" in to_json(Recipe(name="Frühling"))


def test_absent_keys_keep_their_defaults() -> None:
    recipe = from_dict(Recipe, {"epochs": 3, "optimizer": {"lr": 0.5}})
    assert recipe == Recipe(epochs=3, optimizer=OptimizerOptions(lr=0.5))
    assert from_dict(Recipe, {}) == Recipe()


def test_an_integer_does_for_a_float() -> None:
    rate = from_dict(OptimizerOptions, {"lr": 1}).lr
    assert (rate, type(rate)) == (1.0, float)
    mean = from_dict(Preprocessing, {"mean": [1, 2, 3.5]}).mean
    assert mean == (1.0, 2.0, 3.5)
    assert {type(m) for m in mean} == {float}


def test_an_option_that_is_not_given_is_null() -> None:
    plain = to_dict(Recipe())
    assert plain["model"]["dropout"] is plain["data_options"]["split_seed"] is None
    given = from_dict(Recipe, {"model": {"dropout": 0}, "data_options": {"split_seed": 3}})
    assert (given.model.dropout, given.data_options.split_seed) == (0.0, 3)
    assert type(given.model.dropout) is float
    target = to_dict(StoppingOptions(target_train_error=0))["target_train_error"]
    assert (target, type(target)) == (0.0, float)
    with pytest.raises(ConfigError, match=r"^ModelOptions\.dropout must be float, not 'x'$"):
        from_dict(ModelOptions, {"dropout": "x"})
    with pytest.raises(ConfigError, match=r"^DataOptions\.split_seed must be int, not 1\.5$"):
        from_dict(DataOptions, {"split_seed": 1.5})


@pytest.mark.parametrize(
    ("cls", "plain", "message"),
    [
        (Recipe, {"epoch": 3}, "^Recipe has no key 'epoch'; did you mean 'epochs'"),
        (Recipe, {"optimizer": {"lrs": 3}}, r"^Recipe\.optimizer has no key 'lrs'; .* 'lr'"),
        (
            Recipe,
            {"schedule": {"zzzzz": 3}},
            r"^Recipe\.schedule has no key 'zzzzz'; known: schedule, ",
        ),
        (Recipe, {"epochs": "3"}, r"^Recipe\.epochs must be int, not '3'$"),
        (Recipe, {"epochs": 3.0}, r"^Recipe\.epochs must be int, not 3\.0$"),
        (Recipe, {"epochs": True}, r"^Recipe\.epochs must be int, not True$"),
        (Recipe, {"epochs": None}, r"^Recipe\.epochs must be int, not None$"),
        (Recipe, {"name": 3}, r"^Recipe\.name must be str, not 3$"),
        (Recipe, {"augment": {"flip": 1}}, r"^Recipe\.augment\.flip must be bool, not 1$"),
        (Recipe, {"optimizer": {"lr": "x"}}, r"^Recipe\.optimizer\.lr must be float, not 'x'$"),
        (Recipe, {"optimizer": {"lr": False}}, r"^Recipe\.optimizer\.lr must be float, not False$"),
        (Recipe, {"optimizer": []}, r"^Recipe\.optimizer must be an object, not \[\]$"),
        (
            Recipe,
            {"precision": "half"},
            r"^Recipe\.precision is 'half'; it can be auto, float32, bf16, fp16; did .* fp16\?$",
        ),
        (Recipe, {"precision": ["auto"]}, r"^Recipe\.precision is \['auto'\]; it can be"),
        (Recipe, {"schedule": {"milestones": 3}}, r"\.milestones must be a list, not 3$"),
        (Recipe, {"schedule": {"milestones": [3, "4"]}}, r"\.milestones\[1\] must be int"),
        (Recipe, {"epochs": 0}, "^--epochs 0 must be at least 1$"),
        (Recipe, {"optimizer": {"momentum": 1}}, r"^--momentum 1\.0 must be from 0 to below 1$"),
        (Recipe, [], r"^Recipe must be an object, not \[\]$"),
        (Recipe, None, "^Recipe must be an object, not None$"),
        (
            Preprocessing,
            {"mean": [1, 2]},
            r"^Preprocessing\.mean must be a list of 3, not \[1, 2\]$",
        ),
        (Preprocessing, {"mean": "abc"}, r"^Preprocessing\.mean must be a list of 3, not 'abc'$"),
        (
            Preprocessing,
            {"mean": [1, 2, "x"]},
            r"^Preprocessing\.mean\[2\] must be float, not 'x'$",
        ),
        (Preprocessing, {"channels": True}, r"^Preprocessing\.channels is True; it can be 1, 3$"),
        (Preprocessing, {"channels": 2}, r"^Preprocessing\.channels is 2; it can be 1, 3$"),
    ],
)
def test_invalid_values(cls: type, plain: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(cls, plain)


def lenet() -> dict[str, Any]:
    plain = to_dict(ZOO["lenet5"])
    assert isinstance(plain, dict)
    return plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "konv"}, r"\.layers\[0\] has the unknown layer kind 'konv'; known: conv, fc, "),
        ({"kind": 3}, r"^architecture\.layers\[0\] has the unknown layer kind 3; known"),
        ({"kind": ["conv"]}, r"\.layers\[0\] has the unknown layer kind \['conv'\]; known"),
        ({"chanels": 3}, r"^architecture\.layers\[0\] has no key 'chanels'; .* 'channels'"),
        ({"kernel": "5"}, r"^architecture\.layers\[0\]\.kernel must be int, not '5'$"),
        ({"init": {"std": "x"}}, r"^architecture\.layers\[0\]\.init\.std must be float, not 'x'$"),
        ({"init": {"kind": "he"}}, r"\.layers\[0\]\.init\.kind is 'he'; it can be normal, glorot"),
        ({"groups": 4}, r"^conv1: 1 -> 6 channels cannot be split into 4 groups$"),
        ({"name": "conv2"}, "^lenet5: two layers are called 'conv2'$"),
    ],
)
def test_invalid_layers(change: dict[str, Any], message: str) -> None:
    plain = lenet()
    plain["layers"][0].update(change)
    with pytest.raises(ConfigError, match=message):
        from_dict(Architecture, plain, "architecture")


def test_missing_keys_are_named() -> None:
    plain = lenet()
    del plain["source"], plain["layers"][0]["kernel"]
    with pytest.raises(ConfigError, match=r"^architecture\.layers\[0\]: missing .* 'kernel'$"):
        from_dict(Architecture, plain, "architecture")
    plain = lenet()
    del plain["source"]
    with pytest.raises(ConfigError, match=r"^architecture: missing .* 'source'$"):
        from_dict(Architecture, plain, "architecture")
    with pytest.raises(
        ConfigError, match=r"missing 4 required .* 'name', 'source', 'input', and 'layers'"
    ):
        from_dict(Architecture, {}, "architecture")


@pytest.mark.parametrize("layer", [None, 3, "conv", [], {}])
def test_a_layer_that_is_none(layer: object) -> None:
    plain = lenet()
    plain["layers"].append(layer)
    with pytest.raises(
        ConfigError, match=r"^architecture\.layers\[12\] has the unknown layer kind"
    ):
        from_dict(Architecture, plain, "architecture")


def test_architecture_that_does_not_fit_its_input() -> None:
    with pytest.raises(ArchitectureError, match="lenet5 cannot take 31x31 pixels"):
        from_dict(Architecture, {**lenet(), "input": [1, 31, 31]}, "architecture")


HOSTILE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no stride", {}, {"stride": 0}),
    ("no groups", {}, {"groups": 0}),
    ("no channels", {}, {"channels": 0}),
    ("kernel below 1", {}, {"kernel": -3}),
    ("flat input", {"input": [3]}, {}),
    ("no channels in the input", {"input": [0, 32, 32]}, {}),
    ("no layers", {"layers": []}, {}),
    ("a dot in a name", {}, {"name": "a.b"}),
]


@pytest.mark.parametrize(
    ("arch", "layer"), [(t, c) for _, t, c in HOSTILE], ids=[name for name, _, _ in HOSTILE]
)
def test_invalid_architectures(arch: dict[str, Any], layer: dict[str, Any]) -> None:
    plain = lenet()
    plain["layers"][0].update(layer)
    with pytest.raises(ConfigError):
        from_dict(Architecture, {**plain, **arch}, "architecture")


@dataclass(frozen=True)
class Deep:
    name: str
    inner: tuple[tuple[Init, ...], ...] = ()


def test_nesting() -> None:
    value = Deep("d", ((Init(), Init("torch")), (), (Init(bias=2.0),)))
    assert from_dict(Deep, json.loads(to_json(value))) == value
    with pytest.raises(
        ConfigError, match=r"^Deep\.inner\[1\]\[0\] has no key 'stdd'; did you mean 'std'"
    ):
        from_dict(Deep, {"name": "d", "inner": [[], [{"stdd": 1}]]})


def test_very_deep_json_is_a_wrong_value_like_any_other() -> None:
    plain: object = []
    for _ in range(500):
        plain = [plain]
    with pytest.raises(ConfigError, match=r"^Recipe\.name must be str"):
        from_dict(Recipe, {"name": plain})


NUMBERS = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
NAMES = st.text("abcxyz019", max_size=8).map("layer_{}".format)
INITS = st.builds(
    Init, st.sampled_from(["normal", "glorot_uniform", "he_normal", "torch"]), NUMBERS, NUMBERS
)
SHAPE_KEEPING = st.one_of(
    st.builds(Activation, NAMES, st.sampled_from(["relu", "tanh", "sigmoid"])),
    st.builds(ResponseNorm, NAMES, st.integers(1, 9), NUMBERS, NUMBERS, NUMBERS),
    st.builds(WithinChannelLRN, NAMES, st.integers(1, 9), NUMBERS, NUMBERS, NUMBERS),
    st.builds(BatchNorm, NAMES, NUMBERS, NUMBERS),
    st.builds(Dropout, NAMES, st.floats(0, 1, exclude_max=True)),
    st.builds(Conv, NAMES, st.integers(1, 9), st.integers(1, 3), bias=st.booleans(), init=INITS),
    st.builds(
        Pool,
        NAMES,
        st.integers(1, 2),
        st.just(1),
        st.booleans(),
        st.sampled_from(["max", "average"]),
    ),
)


@settings(max_examples=15)
@given(st.lists(SHAPE_KEEPING, unique_by=lambda layer: layer.name, max_size=6), st.text())
def test_any_architecture_round_trips(layers: list[Layer], source: str) -> None:
    head = (Flatten("flatten"), FullyConnected("fc1", 3))
    arch = Architecture("any", source, (2, 40, 40), (*layers, *head))
    assert from_dict(Architecture, json.loads(to_json(arch)), "architecture") == arch


RECIPES = st.builds(
    Recipe,
    name=st.text(min_size=1).filter(is_file_name),
    epochs=st.integers(1, 10**6),
    label_smoothing=st.floats(0, 1, exclude_max=True),
    augment=st.builds(Augmentation, color_std=st.floats(0, 1e9), flip=st.booleans()),
    optimizer=st.builds(
        OptimizerOptions,
        lr=st.floats(0, 1e9, exclude_min=True),
        optimizer=st.sampled_from(["paper", "adamw"]),
    ),
    schedule=st.builds(
        LRSchedule, milestones=st.lists(st.integers(1, 99), unique=True).map(sorted).map(tuple)
    ),
    seed=st.integers(0, 2**31 - 1),
)


@given(RECIPES)
def test_any_recipe_round_trips(recipe: Recipe) -> None:
    assert from_dict(Recipe, json.loads(to_json(recipe))) == recipe


@pytest.mark.parametrize("name", PRESETS)
def test_equal_values_give_equal_text(name: str) -> None:
    """A preset may say 3 where 3.0 is meant; a resumed run writes the same bytes all the same."""
    text = to_json(PRESETS[name])
    assert to_json(from_dict(Recipe, json.loads(text))) == text
    mean = to_json(Preprocessing(mean=(0, 0, 0), crop_size=8))
    assert to_json(from_dict(Preprocessing, json.loads(mean))) == mean
    assert "0.0" in mean


def test_numbers_of_numpy_are_written_as_those_of_python() -> None:
    mean = tuple(np.array((0.5, 0.25, 1), np.float32))
    written = to_json(Preprocessing(resize_size=np.int64(256), mean=mean))  # type: ignore[arg-type]
    found = from_dict(Preprocessing, json.loads(written))
    assert (found.resize_size, found.mean) == (256, (0.5, 0.25, 1.0))
    rate = to_json(OptimizerOptions(lr=np.float32(0.5)))  # type: ignore[arg-type]
    assert json.loads(rate)["lr"] == 0.5
