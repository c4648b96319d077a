"""Two architectures aligned by layer, and what differs."""

from __future__ import annotations

import time

from alexnet.models.architecture import Architecture
from alexnet.models.comparison import align_layers, compare_networks, comparison_table, ratio_text
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected, Layer, Pool
from alexnet.models.zoo import ZOO


def net(*layers: Layer, name: str = "own") -> Architecture:
    return Architecture(name, "here", (3, 16, 16), layers)


def marks(a: Architecture, b: Architecture) -> list[tuple[str, str]]:
    return [(pair.mark, pair.name) for pair in align_layers(a, b)]


def test_a_network_equals_itself() -> None:
    assert {mark for mark, _ in marks(ZOO["alexnet"], ZOO["alexnet"])} == {" "}


def test_layers_of_other_names_are_paired_by_type_and_order() -> None:
    a = net(Conv("conv1", 4, 3), Activation("relu1"), Pool("pool1"))
    b = net(Conv("first", 4, 3), Pool("pool"), Activation("act"))
    pairs = marks(a, b)
    assert pairs[0] == (" ", "conv1 / first")
    assert sorted(mark for mark, _ in pairs) == [" ", " ", "+", "-"]  # one of two layers has moved


def test_a_name_counts_more_than_the_order() -> None:
    a = net(Conv("conv1", 4, 3), Conv("conv2", 4, 3))
    b = net(Conv("conv0", 4, 3), Conv("conv1", 4, 3), Conv("conv2", 4, 3))
    assert [name for mark, name in marks(a, b) if mark != "+"] == ["conv1", "conv2"]


def test_layers_of_one_name_are_never_paired_with_others() -> None:
    pairs = marks(ZOO["alexnet"], ZOO["alexnet_owt"])
    assert [pair for pair in pairs if pair[1].startswith("drop")] == [
        ("+", "drop6"), ("-", "drop6"), ("+", "drop7"), ("-", "drop7"),
    ]  # fmt: skip


def test_differences_are_in_words() -> None:
    pairs = align_layers(ZOO["alexnet"], ZOO["alexnet_owt"])
    assert "; ".join(map(str, pairs[4].differences)) == (
        "channels 256 -> 192; groups 2 -> 1; initial weights normal -> as torch's; "
        "initial bias 1 -> 0"
    )
    texts = [str(one) for a in ZOO.values() for b in ZOO.values()
             for pair in align_layers(a, b) for one in pair.differences]  # fmt: skip
    assert not [text for text in texts if "_" in text or "init." in text or "True" in text]


def test_the_classifiers_are_paired() -> None:
    pairs = marks(ZOO["lenet5"], ZOO["alexnet"])
    assert pairs[-1] == ("*", "fc5 / fc8")


def test_settings_of_a_field_of_fields_are_named() -> None:
    pairs = align_layers(ZOO["alexnet_caffe"], ZOO["caffenet"])
    changes = {pair.name: list(map(str, pair.differences)) for pair in pairs if pair.differences}
    assert changes["conv2"] == ["initial bias 0.1 -> 1"]


def test_a_change_before_a_layer_marks_it_by_its_shape() -> None:
    a = net(Conv("conv1", 4, 3), Flatten("flatten"), FullyConnected("fc", 2))
    b = net(Conv("conv1", 4, 5), Flatten("flatten"), FullyConnected("fc", 2))
    assert [mark for mark, _ in marks(a, b)] == ["*", "*", "*"]
    assert align_layers(a, b)[2].differences == ()


def test_ratios() -> None:
    a, b = ZOO["alexnet"], ZOO["alexnet_table"]
    conv2 = next(row for row in comparison_table(a, b).rows if row[1] == "conv2")
    assert conv2[-3:] == [307_456, 614_656, "2.00"]
    pairs = ((988, 1), (3, 0), (0, 3), (1, 988), (100, 8))
    assert [ratio_text(*pair) for pair in pairs] == ["0.00101", "0", "", "988.00", "0.08"]
    ratios = compare_networks(a, b).ratios
    assert ratios["parameters"] == 62_378_344 / 60_965_224


def test_networks_of_many_layers_take_moments() -> None:
    long = net(*(Activation(f"relu{i}") for i in range(300)))
    started_at = time.process_time()
    align_layers(long, long)
    assert time.process_time() - started_at < 5
