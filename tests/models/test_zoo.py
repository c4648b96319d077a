"""Every number of FACTS.md, section 1, and the constants in which the published nets differ."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import published as paper
from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.models.architecture import Architecture, LayerInfo, smallest_input
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Init,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.models.summary import totals
from alexnet.models.tutorial_table import summarize_as_tutorial, tutorial_table
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture

OUR_PARAMETERS = {
    # 32 * (3 * 25 + 1), 32 * (32 * 25 + 1), 64 * (32 * 25 + 1), 10 * (64 * 4 * 4 + 1)
    "cifar_quick": 2_432 + 25_632 + 51_264 + 10_250,
    # The paper's conv weights without biases; fc 9216 * 1024, 1024 * 1024, 1000 * 1025;
    # batch norm 4 numbers a map.
    "alexnet_bn": 34_848 + 307_200 + 884_736 + 663_552 + 442_368
    + 9_437_184 + 1_048_576 + 1_025_000 + 4 * (96 + 256 + 384 + 384 + 256 + 1024 + 1024),
}  # fmt: skip
"""Nets whose size nobody printed, by hand."""
PAPERS_CONSTANTS = (5, 1e-4, 0.75, 2.0, 1)
CAFFES_CONSTANTS = (5, 2e-5, 0.75, 1.0, 1)


def weighted(arch: Architecture) -> dict[str, LayerInfo]:
    return {info.layer.name: info for info in arch.layer_infos() if info.neurons}


def kinds(arch: Architecture, first: int, last: int) -> str:
    return " ".join(layer.kind for layer in arch.layers[first:last])


def test_goldens_cover_the_zoo() -> None:
    assert {*paper.NETWORKS, *OUR_PARAMETERS} == set(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_parameters(name: str) -> None:
    expected = OUR_PARAMETERS.get(name) or paper.NETWORKS[name].parameters
    assert sum(info.parameters for info in ZOO[name].layer_infos()) == expected


@pytest.mark.parametrize("name", paper.NETWORKS)
def test_macs(name: str) -> None:
    assert sum(info.macs for info in ZOO[name].layer_infos()) == paper.NETWORKS[name].macs


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_caffe", "caffenet"])
def test_paper_layer_by_layer(name: str) -> None:
    rows = weighted(ZOO[name])
    assert {n: (row.parameters, row.macs) for n, row in rows.items()} == paper.ALEXNET_LAYERS
    assert {n: row.neurons for n, row in rows.items()} == paper.ALEXNET_NEURONS


def test_paper_neurons() -> None:
    neurons = [row.neurons for row in weighted(ZOO["alexnet"]).values()]
    assert sum(neurons) == paper.ALEXNET_TOTAL_NEURONS
    printed = [paper.PRINTED_FIRST_LAYER_NEURONS, *neurons[1:]]
    assert sum(printed) == paper.PRINTED_TOTAL_NEURONS


@pytest.mark.parametrize(("name", "classes"), paper.OTHER_HEADS)
def test_other_heads(name: str, classes: int) -> None:
    arch = variant(ZOO[name], num_classes=classes)
    assert sum(info.parameters for info in arch.layer_infos()) == paper.OTHER_HEADS[name, classes]
    assert arch.num_classes == classes


def test_tutorial_table_cell_by_cell() -> None:
    rows = summarize_as_tutorial(ZOO["alexnet_table"]).rows
    cells = {row.name: (row.parameters, row.forward_computation) for row in rows}
    assert cells == paper.TUTORIAL_TABLE


def test_tutorial_table_sums() -> None:
    """Its cells add up to its sums, and to the percentages it prints."""
    table = paper.TUTORIAL_TABLE
    for column in (0, 1):
        conv = sum(table[f"conv{i}"][column] for i in range(1, 6))
        fc = sum(table[f"fc{i}"][column] for i in range(6, 9))
        assert (conv, fc) == (table["conv layers"][column], table["fc layers"][column])
        assert conv + fc == table["overall"][column]
    assert table["overall"][0] == sum_without_fc_bias(ZOO["alexnet_table"])
    shares = tutorial_table(ZOO["alexnet_table"]).rows[-1]
    assert [re.findall(r"(\d+)%", str(cell)) for cell in shares[-2:]] == [["6", "94"], ["95", "5"]]


def sum_without_fc_bias(arch: Architecture) -> int:
    return totals(arch.layer_infos()).parameters_without_fc_bias


KERAS_TYPES = {
    "conv": "Conv2D",
    "activation": "Activation",
    "pool": "MaxPooling2D",
    "batch_norm": "BatchNormalization",
    "flatten": "Flatten",
    "fc": "Dense",
    "dropout": "Dropout",
}


def keras_shape(row: LayerInfo) -> str:
    channels, *sides = row.output
    return str((None, *sides, channels))


def test_notebook_row_by_row(shared: Path) -> None:
    with (shared / "goldens/notebook_net/summary.tsv").open() as file:
        *rows, softmax, total = csv.DictReader(file, delimiter="\t")
    assert softmax["type"] == "Activation"  # our logits stop before it
    ours = ZOO["alexnet_notebook"].layer_infos()
    for row, golden in zip(ours, rows, strict=True):
        assert KERAS_TYPES[row.layer.kind] == golden["type"]
        assert keras_shape(row) == golden["output_shape"]
        assert row.parameters == int(golden["params"])
        statistics = row.parameters // 2 if isinstance(row.layer, BatchNorm) else 0
        assert statistics == int(golden["non_trainable"])
    assert sum(row.parameters for row in ours) == int(total["params"])


def test_notebook_statistics() -> None:
    rows = ZOO["alexnet_notebook"].layer_infos()
    assert sum(r.parameters for r in rows if isinstance(r.layer, BatchNorm)) == 2 * 21_136


def test_notebook_map_shrinks_to_one_pixel() -> None:
    shapes = {info.layer.name: info.output for info in ZOO["alexnet_notebook"].layer_infos()}
    sides = [shapes[n][1] for n in ("conv1", "pool2", "conv3", "conv4", "conv5", "pool5")]
    assert sides == [54, 8, 6, 4, 2, 1]
    assert shapes["flatten"] == (256,)


@pytest.mark.parametrize(
    ("name", "side", "windows"),
    [
        ("alexnet", 227, 55),
        ("alexnet_2012", 224, 55),
        ("alexnet_caffe", 227, 55),
        ("caffenet", 227, 55),
        ("alexnet_table", 227, 55),
        ("alexnet_bn", 227, 55),
        ("alexnet_owt", 224, 55),
        ("alexnet_notebook", 224, 54),
        ("lenet5", 32, 28),
        ("cifar_quick", 32, 32),
    ],
)
def test_first_map(name: str, side: int, windows: int) -> None:
    assert ZOO[name].input[1:] == (side, side)
    assert ZOO[name].layer_infos()[0].output[1:] == (windows, windows)


@pytest.mark.parametrize(
    ("name", "smallest"),
    [
        # pool5 takes 3, so pool2 gives 3 and takes 7, pool1 takes 15, conv1 14 * 4 + 11.
        ("alexnet", 67),
        ("alexnet_2012", 64),
        ("alexnet_owt", 63),
        # pool5 takes 2; conv5..3 take 4, 6, 8; pool2 16, conv2 26, pool1 52, conv1 51 * 4 + 11.
        ("alexnet_notebook", 215),
        ("lenet5", 32),
        # Rounded up, 3 / 2 windows fit once in 2 pixels, twice in 4, four times in 8.
        ("cifar_quick", 8),
    ],
)
def test_smallest_input(name: str, smallest: int) -> None:
    arch = ZOO[name]
    assert smallest_input(arch.layers, arch.input[0]) == smallest
    assert variant(arch, ModelOptions(input_size=smallest)).input[1:] == (smallest, smallest)
    message = (
        f"^{name} cannot take {smallest - 1}x{smallest - 1} pixels; "
        f"the smallest input that works is {smallest}x{smallest}$"
    )
    with pytest.raises(ArchitectureError, match=message):
        variant(arch, ModelOptions(input_size=smallest - 1))


def test_receptive_field_of_the_paper() -> None:
    rows = {
        info.layer.name: (info.receptive_field, info.input_stride)
        for info in ZOO["alexnet"].layer_infos()
    }
    # conv1 11; pool1 + 2 * 4; conv2 + 4 * 8; pool2 + 2 * 8; conv3..5 + 2 * 16 each;
    # pool5 + 2 * 16; fc6 + 5 * 32.
    assert rows["conv1"] == rows["relu1"] == rows["norm1"] == (11, 4)
    assert (rows["pool1"], rows["conv2"], rows["pool2"]) == ((19, 8), (51, 8), (67, 16))
    assert [rows[n] for n in ("conv3", "conv4", "conv5")] == [(99, 16), (131, 16), (163, 16)]
    assert rows["pool5"] == (195, 32)
    assert rows["flatten"] == rows["fc6"] == rows["fc8"] == (355, 32)


@pytest.mark.parametrize("name", ZOO)
def test_layer_names(name: str) -> None:
    layers = ZOO[name].layers
    assert len({layer.name for layer in layers}) == len(layers)
    assert ZOO[name].name == name
    assert ZOO[name].source


@pytest.mark.parametrize("name", [n for n in ZOO if n not in ("lenet5", "cifar_quick")])
def test_weight_layers_have_the_papers_names(name: str) -> None:
    extra = ["fc7b"] if name == "alexnet_notebook" else []
    convs = [f"conv{i}" for i in range(1, 6)]
    assert list(weighted(ZOO[name])) == [*convs, "fc6", "fc7", *extra, "fc8"]


@pytest.mark.parametrize(
    ("name", "block1"),
    [
        ("alexnet", "conv activation response_norm pool"),
        ("alexnet_2012", "conv response_norm pool activation"),
        ("alexnet_caffe", "conv activation response_norm pool"),
        ("caffenet", "conv activation pool response_norm"),
        ("alexnet_table", "conv activation pool response_norm"),
        ("alexnet_notebook", "conv activation pool batch_norm"),
        ("alexnet_bn", "conv batch_norm activation pool"),
    ],
)
def test_order_inside_the_blocks(name: str, block1: str) -> None:
    assert kinds(ZOO[name], 0, 4) == block1
    if name == "alexnet_2012":
        assert kinds(ZOO[name], 4, 9) == "conv activation response_norm within_channel_lrn pool"
    else:
        assert kinds(ZOO[name], 4, 8) == block1


def test_owt_has_no_norms() -> None:
    assert kinds(ZOO["alexnet_owt"], 0, 6) == "conv activation pool conv activation pool"
    assert not any("norm" in layer.kind for layer in ZOO["alexnet_owt"].layers)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("alexnet", PAPERS_CONSTANTS),
        ("alexnet_table", PAPERS_CONSTANTS),
        ("alexnet_2012", (5, 2e-5, 0.75, 2.0, 2)),
        ("alexnet_caffe", CAFFES_CONSTANTS),
        ("caffenet", CAFFES_CONSTANTS),
    ],
)
def test_response_norm_constants(name: str, constants: tuple[float, ...]) -> None:
    norms = [layer for layer in ZOO[name].layers if isinstance(layer, ResponseNorm)]
    assert [norm.name for norm in norms] == ["norm1", "norm2"]
    assert {(n.size, n.alpha, n.beta, n.k, n.groups) for n in norms} == {constants}


def test_map_norm_constants() -> None:
    (norm,) = (layer for layer in ZOO["alexnet_2012"].layers if isinstance(layer, WithinChannelLRN))
    assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-3 / 25, 0.75, 1.0)


def test_notebook_batch_norm_is_keras_own() -> None:
    norms = [layer for layer in ZOO["alexnet_notebook"].layers if isinstance(layer, BatchNorm)]
    assert len(norms) == 8
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@pytest.mark.parametrize("name", ZOO)
def test_groups(name: str) -> None:
    convs = [layer for layer in ZOO[name].layers if isinstance(layer, Conv)]
    groups = {conv.name: conv.groups for conv in convs if conv.groups > 1}
    has_groups = name in ("alexnet", "alexnet_2012", "alexnet_caffe", "caffenet", "alexnet_bn")
    assert groups == ({"conv2": 2, "conv4": 2, "conv5": 2} if has_groups else {})


@pytest.mark.parametrize(
    ("name", "size"),
    [("alexnet", 3), ("alexnet_2012", 3), ("alexnet_owt", 3), ("alexnet_notebook", 2)],
)
def test_pooling(name: str, size: int) -> None:
    pools = [layer for layer in ZOO[name].layers if isinstance(layer, Pool)]
    assert {(p.size, p.stride, p.ceil, p.reduce) for p in pools} == {(size, 2, False, "max")}
    assert [pool.name for pool in pools] == ["pool1", "pool2", "pool5"]


def test_cifar_quick_pools() -> None:
    arch = ZOO["cifar_quick"]
    pools = [layer for layer in arch.layers if isinstance(layer, Pool)]
    assert [pool.reduce for pool in pools] == ["max", "average", "average"]
    assert {(pool.size, pool.stride) for pool in pools} == {(3, 2)}
    sides = [info.output[1] for info in arch.layer_infos() if isinstance(info.layer, Pool)]
    assert sides == [16, 8, 4]


@pytest.mark.parametrize(
    ("name", "is_on_inputs", "rate"),
    [
        ("alexnet", False, 0.5),
        ("alexnet_2012", False, 0.5),
        ("alexnet_caffe", False, 0.5),
        ("caffenet", False, 0.5),
        ("alexnet_owt", True, 0.5),
        ("alexnet_table", True, 0.5),
        ("alexnet_notebook", False, 0.4),
    ],
)
def test_dropout_places(name: str, is_on_inputs: bool, rate: float) -> None:
    layers = ZOO[name].layers
    drops = [i for i, layer in enumerate(layers) if isinstance(layer, Dropout)]
    assert len(drops) == (3 if name == "alexnet_notebook" else 2)
    for i in drops:
        assert layers[i] == Dropout(layers[i].name, rate)
        # On the inputs: the next layer. On the outputs: two before, the nonlinearity between.
        partner = layers[i + 1] if is_on_inputs else layers[i - 2]
        assert partner.name.removeprefix("fc") == layers[i].name.removeprefix("drop")


def test_only_the_tutorial_table_rectifies_its_logits() -> None:
    last = {name for name, arch in ZOO.items() if isinstance(arch.layers[-1], Activation)}
    assert last == {"alexnet_table"}


CONV_STD = {"alexnet_2012": [0.01, 0.01, 0.03, 0.03, 0.03]}
FC_STD = {"alexnet_caffe": [0.005, 0.005, 0.01], "caffenet": [0.005, 0.005, 0.01]}
BIASES = {"alexnet": 1.0, "alexnet_2012": 1.0, "alexnet_caffe": 0.1, "caffenet": 1.0}


def inits(name: str) -> dict[str, Init]:
    layers = ZOO[name].layers
    return {layer.name: layer.init for layer in layers if isinstance(layer, Conv | FullyConnected)}


@pytest.mark.parametrize("name", BIASES)
def test_first_values(name: str) -> None:
    found = inits(name)
    assert {init.kind for init in found.values()} == {"normal"}
    stds = CONV_STD.get(name, [0.01] * 5) + FC_STD.get(name, [0.01] * 3)
    assert [init.std for init in found.values()] == stds
    biased = {n: init.bias for n, init in found.items() if init.bias}
    assert biased == dict.fromkeys(("conv2", "conv4", "conv5", "fc6", "fc7"), BIASES[name])


def test_first_values_of_the_others() -> None:
    assert {init.kind for init in inits("alexnet_notebook").values()} == {"glorot_uniform"}
    assert {init.bias for init in inits("alexnet_notebook").values()} == {0.0}
    assert {init.kind for init in inits("alexnet_owt").values()} == {"torch"}
    assert [init.std for init in inits("cifar_quick").values()] == [1e-4, 0.01, 0.01, 0.01]


def test_architecture_by_name() -> None:
    assert architecture("alexnet") is ZOO["alexnet"]
    with pytest.raises(
        UnknownNameError, match=r"^unknown architecture 'alexnt'; did you mean alexnet"
    ):
        architecture("alexnt")
