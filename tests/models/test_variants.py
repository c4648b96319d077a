"""Every option alone, several together, and values that are rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from alexnet.config.serialization import from_dict, parse_json, to_dict, to_json
from alexnet.errors import ArchitectureError, ConfigError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO

Kind = TypeVar("Kind", bound=Layer)
NORMS = (ResponseNorm, WithinChannelLRN, BatchNorm)


def names(arch: Architecture) -> list[str]:
    return [layer.name for layer in arch.layers]


def layers_of(arch: Architecture, *types: type[Kind]) -> list[Kind]:
    return [layer for layer in arch.layers if isinstance(layer, types)]


def weighted(arch: Architecture) -> list[Conv | FullyConnected]:
    return layers_of(arch, Conv, FullyConnected)


@pytest.mark.parametrize("name", ZOO)
def test_no_options_change_nothing(name: str) -> None:
    assert variant(ZOO[name]) == ZOO[name]


@pytest.mark.parametrize("function", ["relu", "tanh", "sigmoid"])
def test_activation(function: Any) -> None:
    arch = variant(ZOO["alexnet"], ModelOptions(activation=function))
    assert {layer.function for layer in layers_of(arch, Activation)} == {function}
    assert names(arch) == names(ZOO["alexnet"])


def test_activation_as_published_keeps_lenets_tanh() -> None:
    found = layers_of(variant(ZOO["lenet5"], num_classes=3), Activation)
    assert {layer.function for layer in found} == {"tanh"}


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_notebook", "alexnet_bn"])
def test_norm_none(name: str) -> None:
    arch = variant(ZOO[name], ModelOptions(norm="none"))
    assert not layers_of(arch, *NORMS)
    assert all(layer.bias for layer in weighted(arch))
    kept = [layer.name for layer in ZOO[name].layers if not isinstance(layer, NORMS)]
    assert names(arch) == kept


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_notebook", "alexnet_bn"])
def test_norm_response_is_the_papers(name: str) -> None:
    arch = variant(ZOO[name], ModelOptions(norm="response"))
    assert layers_of(arch, *NORMS) == [ResponseNorm("norm1"), ResponseNorm("norm2")]
    order = names(arch)
    assert order[order.index("norm1") - 1] == "relu1"
    assert order[order.index("norm2") - 1] == "relu2"
    assert all(layer.bias for layer in weighted(arch))


@pytest.mark.parametrize(
    "name", ["alexnet", "alexnet_2012", "alexnet_notebook", "alexnet_bn", "lenet5"]
)
def test_norm_batch_follows_every_weight_layer_but_the_last(name: str) -> None:
    arch = variant(ZOO[name], ModelOptions(norm="batch"))
    layers = weighted(arch)
    order = names(arch)
    for layer in layers[:-1]:
        after = arch.layers[order.index(layer.name) + 1]
        suffix = layer.name.removeprefix("conv").removeprefix("fc")
        assert after == BatchNorm(f"bn{suffix}")
        assert not layer.bias
    assert layers[-1].bias
    assert len(layers_of(arch, *NORMS)) == len(layers) - 1


def test_norm_batch_of_the_paper_is_alexnet_bns_order() -> None:
    arch = variant(ZOO["alexnet"], ModelOptions(norm="batch"))
    assert names(arch)[:10] == names(ZOO["alexnet_bn"])[:10]


def test_norm_batch_finds_names_where_convolutions_and_others_have_the_same_numbers() -> None:
    layers = (
        Conv("conv1", 8, 3),
        Dropout("bn_2"),
        Flatten("flatten"),
        FullyConnected("fc1", 4),
        FullyConnected("_2", 4),
        FullyConnected("fc2", 2),
    )
    arch = variant(Architecture("own", "", (3, 8, 8), layers), ModelOptions(norm="batch"))
    assert [layer.name for layer in layers_of(arch, BatchNorm)] == ["bn1", "bn_fc1", "bn__2"]


def test_bias_comes_back_after_batch_norm() -> None:
    there = variant(ZOO["alexnet"], ModelOptions(norm="batch"))
    back = variant(there, ModelOptions(norm="response"))
    assert back == ZOO["alexnet"]


def test_pooling() -> None:
    def pools(option: Any, name: str = "alexnet") -> set[tuple[int, int]]:
        arch = variant(ZOO[name], ModelOptions(pooling=option))
        return {(pool.size, pool.stride) for pool in layers_of(arch, Pool)}

    assert pools("non_overlapping") == {(2, 2)}
    assert pools("overlapping") == pools("published") == {(3, 2)}
    assert pools("published", "lenet5") == {(2, 2)}


def test_overlapping_pooling_comes_back() -> None:
    there = variant(ZOO["alexnet"], ModelOptions(pooling="non_overlapping"))
    assert variant(there, ModelOptions(pooling="overlapping")) == ZOO["alexnet"]


def test_pooling_keeps_how_the_rest_is_reduced() -> None:
    arch = variant(ZOO["cifar_quick"], ModelOptions(pooling="non_overlapping"))
    pools = layers_of(arch, Pool)
    assert [pool.reduce for pool in pools] == ["max", "average", "average"]
    assert all(pool.ceil for pool in pools)


def test_dropout() -> None:
    def probabilities(p: float | None) -> list[float]:
        arch = variant(ZOO["alexnet"], ModelOptions(dropout=p))
        return [layer.p for layer in layers_of(arch, Dropout)]

    assert probabilities(0.25) == [0.25, 0.25]
    assert probabilities(0) == []
    assert probabilities(None) == [0.5, 0.5]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups(groups: int) -> None:
    convs = layers_of(variant(ZOO["alexnet"], ModelOptions(groups=groups)), Conv)
    assert [conv.groups for conv in convs] == [1, groups, 1, groups, groups]


@pytest.mark.parametrize(("name", "groups"), [("alexnet_2012", 1), ("alexnet", 4)])
def test_the_papers_norms_see_all_channels(name: str, groups: int) -> None:
    arch = variant(ZOO[name], ModelOptions(groups=groups))
    assert [norm.groups for norm in layers_of(arch, ResponseNorm)] == [1, 1]


def test_one_group_has_the_parameters_of_the_tutorials_table() -> None:
    rows = variant(ZOO["alexnet"], ModelOptions(groups=1)).layer_infos()
    assert sum(row.parameters for row in rows) == 62_378_344


@pytest.mark.parametrize(
    ("width", "channels", "features"),
    [
        (0.5, [48, 128, 192, 192, 128], [2048, 2048, 1000]),
        (2, [192, 512, 768, 768, 512], [8192, 8192, 1000]),
        # To multiples of 4: 9.6 -> 8, 25.6 -> 24, 38.4 -> 40; 409.6 -> 408.
        (0.1, [8, 24, 40, 40, 24], [408, 408, 1000]),
        (0.001, [4, 4, 4, 4, 4], [4, 4, 1000]),
    ],
)
def test_width(width: float, channels: list[int], features: list[int]) -> None:
    arch = variant(ZOO["alexnet"], ModelOptions(width=width))
    assert [layer.channels for layer in layers_of(arch, Conv)] == channels
    assert [layer.features for layer in layers_of(arch, FullyConnected)] == features


def test_width_1_is_not_rounded() -> None:
    assert (
        weighted(variant(ZOO["lenet5"], ModelOptions(width=1.0)))[0] == ZOO["lenet5"].layers[0]
    )  # 6 channels


@pytest.mark.parametrize(("init", "kind"), [("he", "he_normal"), ("glorot", "glorot_uniform")])
def test_init_changes_every_weight_but_no_bias(init: Any, kind: str) -> None:
    arch = variant(ZOO["alexnet"], ModelOptions(init=init))
    for layer, published in zip(weighted(arch), weighted(ZOO["alexnet"]), strict=True):
        assert layer.init == replace(published.init, kind=kind)


def test_scaled_init_keeps_the_size_of_signals_in_a_narrow_net() -> None:
    small = ModelOptions(width=0.25, input_size=67, init="scaled")
    stds = [layer.init.std for layer in weighted(variant(ZOO["alexnet_2012"], small))]
    # conv1 sees three channels at any width; fc6 has 64 inputs instead of 9,216.
    assert stds == pytest.approx([0.01, 0.02, 0.06, 0.06, 0.06, 0.12, 0.02, 0.02])


def test_scaled_init_is_the_published_one_at_the_published_size() -> None:
    for arch in (ZOO["alexnet"], ZOO["alexnet_bn"], ZOO["lenet5"]):
        assert variant(arch, ModelOptions(init="scaled")) == arch


def test_bias_replaces_the_initial_biases_of_one() -> None:
    for value in (0.0, 0.25):
        found = {
            layer.name: layer.init.bias
            for layer in weighted(variant(ZOO["alexnet"], ModelOptions(bias=value)))
        }
        ones = ("conv2", "conv4", "conv5", "fc6", "fc7")
        assert found == {name: value if name in ones else 0.0 for name in found}
    assert variant(ZOO["alexnet"], ModelOptions(bias=1.0)) == ZOO["alexnet"]


def test_input_size_and_channels() -> None:
    arch = variant(ZOO["alexnet"], ModelOptions(input_size=115, channels=1))
    assert arch.input == (1, 115, 115)
    assert arch.layers == ZOO["alexnet"].layers


@pytest.mark.parametrize("name", ZOO)
def test_classes_change_the_last_layer_only(name: str) -> None:
    arch = variant(ZOO[name], num_classes=7)
    assert arch.num_classes == 7
    changed = [a.name for a, b in zip(arch.layers, ZOO[name].layers, strict=True) if a != b]
    assert changed == [weighted(ZOO[name])[-1].name]


ALL_CONVOLUTIONS = Architecture(
    "all_convolutions",
    "",
    (3, 16, 16),
    (
        Conv("conv1", 16, 5),
        Activation("relu1"),
        Conv("cls", 10, 1),
        AdaptivePool("gap", 1),
        Flatten("flatten"),
    ),
)


def test_a_convolution_can_be_the_classifier() -> None:
    options = ModelOptions(width=2.0, norm="batch")
    arch = variant(ALL_CONVOLUTIONS, options, num_classes=17)
    assert arch.num_classes == 17
    assert names(arch) == ["conv1", "bn1", "relu1", "cls", "gap", "flatten"]
    assert [layer.channels for layer in layers_of(arch, Conv)] == [32, 17]
    assert variant(ALL_CONVOLUTIONS, options).num_classes == 10


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((*ALL_CONVOLUTIONS.layers[:3], Flatten("flatten")), r"2448 values, .* \(cls\);"),
        ((Flatten("flatten"),), r"768 values, .* \(none\);"),
    ],
)
def test_an_output_that_is_not_one_of_classes_is_refused(layers: Any, message: str) -> None:
    arch = replace(ALL_CONVOLUTIONS, layers=layers)
    assert variant(arch) == arch
    with pytest.raises(ConfigError, match=f"cannot have 17 classes: .* {message}"):
        variant(arch, num_classes=17)


def test_an_input_that_is_not_a_square_stays_as_it_is() -> None:
    arch = replace(ALL_CONVOLUTIONS, input=(3, 32, 64))
    assert variant(arch) == arch
    assert variant(arch, ModelOptions(channels=1)).input == (1, 32, 64)
    assert variant(arch, ModelOptions(input_size=48)).input == (3, 48, 48)


def test_many_options_at_once() -> None:
    arch = variant(
        ZOO["alexnet"],
        ModelOptions(
            activation="tanh",
            norm="batch",
            pooling="non_overlapping",
            dropout=0,
            groups=4,
            width=0.25,
            input_size=99,
            channels=1,
        ),
        num_classes=17,
    )
    assert arch.input == (1, 99, 99)
    assert [layer.kind for layer in arch.layers[:4]] == [
        "conv",
        "batch_norm",
        "activation",
        "pool",
    ]
    assert weighted(arch)[1] == Conv(
        "conv2", 64, 5, padding=2, groups=4, bias=False, init=weighted(ZOO["alexnet"])[1].init
    )
    assert arch.layers[2] == Activation("relu1", "tanh")
    assert not layers_of(arch, Dropout)
    assert arch.num_classes == 17


OPTIONS = st.fixed_dictionaries(
    {
        "activation": st.sampled_from(["published", "relu", "tanh", "sigmoid"]),
        "norm": st.sampled_from(["published", "none", "response", "batch"]),
        "pooling": st.sampled_from(["published", "overlapping", "non_overlapping"]),
        "dropout": st.sampled_from([None, 0.0, 0.3]),
        "groups": st.sampled_from([None, 1, 2, 4]),
        "width": st.sampled_from([0.05, 0.5, 1.0, 1.5]),
        "channels": st.sampled_from([None, 1, 3]),
        "init": st.sampled_from(["published", "scaled", "he", "glorot"]),
        "bias": st.sampled_from([None, 0.5]),
    }
)


@given(st.sampled_from(sorted(ZOO)), OPTIONS, st.none() | st.integers(1, 30))
def test_every_combination_is_an_architecture(
    name: str, options: dict[str, Any], num_classes: int | None
) -> None:
    """It keeps its name and its layers with weights, and survives JSON."""
    try:
        arch = variant(ZOO[name], ModelOptions(**options), num_classes=num_classes)
    except ArchitectureError:  # too small an input, or groups that do not divide
        reject()
    assert (arch.name, arch.source) == (ZOO[name].name, ZOO[name].source)
    assert [layer.name for layer in weighted(arch)] == [layer.name for layer in weighted(ZOO[name])]
    assert arch.num_classes == (num_classes or ZOO[name].num_classes)
    assert from_dict(Architecture, to_dict(arch), "architecture") == arch
    again = variant(arch, ModelOptions(**{**options, "width": 1.0}))
    assert again == arch


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"width": 0}, "^--width 0 must be above 0$"),
        ({"width": -1.0}, "^--width -1.0 must be above 0$"),
        ({"width": float("inf")}, "^--width is inf$"),
        ({"dropout": 1.0}, "^--dropout 1.0 must be from 0 to below 1$"),
        ({"dropout": -1.0}, "^--dropout -1.0 must be from 0 to below 1$"),
        ({"groups": 0}, "^--groups 0 must be at least 1$"),
        ({"input_size": 0}, "^--input-size 0 must be at least 1$"),
        ({"channels": 2}, "^--channels 2 must be 1 or 3$"),
        ({"bias": float("nan")}, "^--bias is nan$"),
        ({"norm": "bach"}, "^--norm 'bach' must be .*, response, batch; did you mean 'batch'.$"),
        ({"activation": "rellu"}, "^--activation 'rellu' must be one of published, relu, tanh, "),
        ({"pooling": "overlaping"}, "^--pooling 'overlaping' must be one of published, "),
        ({"init": "normal"}, "^--init 'normal' must be one of published, scaled, he, glorot$"),
    ],
)
def test_options_name_the_value_that_is_wrong(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelOptions(**option)


def test_num_classes_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"^num_classes 0 must be at least 1$"):
        variant(ZOO["alexnet"], num_classes=0)


def test_input_too_small_for_what_is_left() -> None:
    with pytest.raises(ArchitectureError, match="the smallest input that works is 67x67"):
        variant(ZOO["alexnet"], ModelOptions(input_size=66))
    # 2 x 2 windows leave more: pool5 takes 2, pool2 4, pool1 8, conv1 7 * 4 + 11.
    assert (
        variant(ZOO["alexnet"], ModelOptions(input_size=39, pooling="non_overlapping")).input[1]
        == 39
    )
    with pytest.raises(ArchitectureError, match="the smallest input that works is 39x39"):
        variant(ZOO["alexnet"], ModelOptions(input_size=38, pooling="non_overlapping"))


def test_groups_must_divide() -> None:
    with pytest.raises(
        ArchitectureError, match="conv2: 96 -> 256 channels cannot be split into 3 groups"
    ):
        variant(ZOO["alexnet"], ModelOptions(groups=3))


def test_numbers_of_numpy_become_those_of_python() -> None:
    options = ModelOptions(
        dropout=np.float32(0.5),  # type: ignore[arg-type]
        width=np.float32(0.5),  # type: ignore[arg-type]
        input_size=np.int64(32),  # type: ignore[arg-type]
        bias=np.int64(1),
    )
    assert "np." not in repr(options)
    found = variant(ZOO["lenet5"], options, num_classes=np.int64(3))  # type: ignore[arg-type]
    assert "np." not in repr(found)
    assert from_dict(Architecture, parse_json(to_json(found))) == found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": (128, 128)}, r"--input-size \(128, 128\) must be a whole number"),
        ({"groups": 2.0}, r"--groups 2\.0 must be a whole number"),
        ({"channels": True}, "--channels True must be a whole number"),
        ({"dropout": "0.5"}, r"--dropout '0\.5' must be a number"),
        ({"width": None}, "--width None must be a number"),
    ],
)
def test_an_option_of_a_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        ModelOptions(**options)


@pytest.mark.parametrize("count", ["5", 5.0, True])
def test_a_number_of_classes_of_a_wrong_type(count: Any) -> None:
    with pytest.raises(ConfigError, match=r"^num_classes .* must be a whole number$"):
        variant(ZOO["lenet5"], num_classes=count)
