"""Which of our layers a tensor of another program belongs to."""

from __future__ import annotations

import pytest

from alexnet.checkpoints.layer_names import local_names
from alexnet.models.zoo import ZOO

OWT = ZOO["alexnet_owt"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv1.weight", "conv1.weight"),
        ("features.0.bias", "conv1.bias"),
        ("a.b.module.features.module.10.weight", "conv5.weight"),
        ("classifier.6.0.weight", "fc8.weight"),
        ("conv1/weights:0", "conv1.weight"),
        ("fc8_b", "fc8.bias"),
        ("features.1.weight", "features.1.weight"),
        ("bn1.running_mean", "bn1.running_mean"),
        ("layer1.conv9.weight", "layer1.conv9.weight"),
        ("conv1.extra.weight", "conv1.extra.weight"),
        ("epoch", "epoch"),
    ],
)
def test_names(theirs: str, ours: str) -> None:
    assert local_names({theirs: (1,)}, OWT).names == {theirs: ours}


def shapes(*sizes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Weights of nameless layers."""
    return {f"layer{'abcdefgh'[i]}.weight": size for i, size in enumerate(sizes)}


CONVS = ((4, 3, 11, 11), (6, 4, 5, 5), (8, 6, 3, 3), (7, 8, 3, 3), (5, 7, 3, 3))
FULLY_CONNECTED = ((9, 180), (8, 9), (2, 8))


def test_the_order_of_a_file_does_not_matter_where_shapes_differ() -> None:
    found = shapes(*FULLY_CONNECTED, *reversed(CONVS))
    names = local_names(found, OWT).names
    assert [names[f"layer{letter}.weight"] for letter in "abcdefgh"] == [
        *(f"fc{i}.weight" for i in (6, 7, 8)),
        *(f"conv{i}.weight" for i in (5, 4, 3, 2, 1)),
    ]


def test_names_go_before_the_order_of_a_file() -> None:
    convs = ((4, 3, 11, 11), (6, 4, 5, 5), *((6, 6, 3, 3),) * 3)
    found = dict(zip(("conv1", "conv2", "conv5", "conv4", "conv3"), convs, strict=True))
    matrices = dict(zip(("fc1", "fc2", "fc3"), ((9, 216), *FULLY_CONNECTED[1:]), strict=True))
    names = local_names({f"{n}.weight": s for n, s in (found | matrices).items()}, OWT).names
    assert names["conv5.weight"] == "conv5.weight"
    assert names["fc1.weight"] == "fc6.weight"


def test_equal_shapes_are_taken_in_order() -> None:
    convs = ((4, 3, 11, 11), (6, 4, 5, 5), *((6, 6, 3, 3),) * 3)
    names = local_names(shapes(*convs, (9, 216), *FULLY_CONNECTED[1:]), OWT).names
    assert list(names.values())[2:5] == ["conv3.weight", "conv4.weight", "conv5.weight"]


@pytest.mark.parametrize(
    "others",
    [
        (*CONVS[:4], (5, 7, 5, 5), *FULLY_CONNECTED),
        (*CONVS[:4], (5, 9, 3, 3), *FULLY_CONNECTED),
        (*CONVS, *FULLY_CONNECTED, (2, 2)),
        (*CONVS, *FULLY_CONNECTED[:2]),
        (*CONVS, (9, 181), *FULLY_CONNECTED[1:]),
    ],
    ids=["kernel", "channels", "more", "fewer", "spatial"],
)
def test_other_shapes_keep_their_names(others: tuple[tuple[int, ...], ...]) -> None:
    found = shapes(*others[:8]) | ({"last.weight": others[8]} if len(others) > 8 else {})
    assert local_names(found, OWT).names == {name: name for name in found}


def test_batch_norm_is_matched_by_its_length() -> None:
    arch = ZOO["alexnet_bn"]
    found, channels = {}, 3
    for i, (size, groups) in enumerate(((11, 1), (5, 2), (3, 1), (3, 2), (3, 2))):
        found[f"b{i}.0.weight"] = (8, channels // groups, size, size)
        found[f"b{i}.1.weight"] = found[f"b{i}.1.running_var"] = (8,)
        channels = 8
    for i in range(5, 7):
        found[f"b{i}.0.weight"], found[f"b{i}.1.weight"] = (8, 8), (8,)
    names = local_names(found | {"last.weight": (2, 8)}, arch).names
    assert names["b1.1.running_var"] == "bn2.running_var"
    assert names["b6.1.weight"] == "bn7.weight"
    assert names["last.weight"] == "fc8.weight"
