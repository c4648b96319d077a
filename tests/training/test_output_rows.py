"""The rows of a last layer follow the names of their classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alexnet.data.datasets.imagenet_classes import imagenet_class_names
from alexnet.errors import ModelFileError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm, Conv, Flatten, FullyConnected
from alexnet.models.network import Network
from alexnet.training.output_rows import InitialWeights, rows_by_name

TREES = ("ash", "elm", "fir")


def network(num_classes: int, *more: BatchNorm) -> Network:
    layers = (
        Conv("conv1", 2, 3),
        Flatten("flatten"),
        FullyConnected("fc2", num_classes),
        *more,
    )
    return Network(Architecture("mine", "a test", (1, 4, 4), layers))


def weights_of(names: tuple[str, ...], num_classes: int = 3) -> InitialWeights:
    state = network(num_classes).state_dict()
    return InitialWeights({name: torch.rand_like(t) for name, t in state.items()}, names)


def sources(
    tensors: dict[str, Tensor], weights: InitialWeights, own: Network, name: str
) -> list[str]:
    """For every row of a tensor the class of the model that has it; "new" for the network's."""
    fresh, found = own.state_dict()[name], []
    for i, row in enumerate(tensors[name]):
        equal = [bool((row == other).all()) for other in weights.tensors[name]]
        names = weights.class_names
        found.append("new" if torch.equal(row, fresh[i]) else names[equal.index(True)])
    return found


@pytest.mark.parametrize(
    ("classes", "expected", "note"),
    [
        (("ash", "elm", "fir"), ["ash", "elm", "fir"], ""),
        (
            ("elm", "fir", "ash"),
            ["elm", "fir", "ash"],
            "fc2: the model has the classes in another order; its rows follow their names",
        ),
        (
            ("elm", "fir", "zz_ash"),
            ["elm", "fir", "new"],
            "fc2: 2 of 3 classes from the model; new: zz_ash",
        ),
        (("fir", "elm"), ["fir", "elm"], "fc2: 2 of 2 classes from the model, which has 3"),
        (
            ("ash", "beech", "elm", "fir", "oak"),
            ["ash", "new", "elm", "fir", "new"],
            "fc2: 3 of 5 classes from the model; new: beech, oak",
        ),
    ],
)
def test_by_name(classes: tuple[str, ...], expected: list[str], note: str) -> None:
    own, weights = network(len(classes)), weights_of(TREES)
    rows = rows_by_name(own, weights, classes)
    for name in ("fc2.weight", "fc2.bias"):
        assert sources(rows.tensors, weights, own, name) == expected
        assert (name in rows.new) == ("new" in expected)
    assert torch.equal(rows.tensors["conv1.weight"], weights.tensors["conv1.weight"])
    assert rows.note == note


def test_without_a_common_class_the_layer_is_new() -> None:
    weights = weights_of(TREES)
    rows = rows_by_name(network(3), weights, ("cat", "dog", "eel"))
    assert [*rows.tensors] == ["conv1.weight", "conv1.bias"]
    assert rows.note == "fc2 is new: the model knows none of the classes; its own are ash, elm, fir"
    rows = rows_by_name(network(2), weights, ("cat", "dog"))
    assert (rows.tensors, rows.note) == (weights.tensors, ""), "its shape is told"


def test_a_layer_alone_without_a_common_class() -> None:
    layers = (Flatten("flatten"), FullyConnected("fc1", 3))
    alone = Network(Architecture("mine", "a test", (1, 4, 4), layers))
    weights = InitialWeights(alone.state_dict(), TREES)
    with pytest.raises(ModelFileError, match="are used; fc1 is new: the model knows none of the"):
        rows_by_name(alone, weights, ("cat", "dog", "eel"))


@pytest.mark.parametrize("names", [(), ("class 0", "class 1", "class 2")])
def test_without_names_shapes_decide(names: tuple[str, ...]) -> None:
    weights = weights_of(names)
    rows = rows_by_name(network(3), weights, TREES)
    assert rows.tensors is weights.tensors
    assert rows.note.startswith("fc2 is kept, although the weights have no class names: their fir")
    assert rows_by_name(network(4), weights, (*TREES, "oak")).note == ""


def test_wnids_and_readable_names_are_the_same_class() -> None:
    names = tuple(imagenet_class_names().values())
    weights, own = weights_of(names, 1000), network(3)
    rows = rows_by_name(own, weights, ("n01443537", "oak", "tench"))
    assert sources(rows.tensors, weights, own, "fc2.weight") == ["goldfish", "new", "tench"]
    rows = rows_by_name(network(1000), weights, tuple(imagenet_class_names()))
    assert torch.equal(rows.tensors["fc2.weight"], weights.tensors["fc2.weight"])
    assert (rows.note, rows.new) == ("", ())


def test_a_class_that_could_be_several_is_new() -> None:
    own, weights = network(2), weights_of(("ash", "fir", "ash"))
    rows = rows_by_name(own, weights, ("ash", "fir"))
    assert sources(rows.tensors, weights, own, "fc2.weight") == ["new", "fir"]


def test_batch_norms_after_the_layer_move_with_it() -> None:
    tensors = network(3, BatchNorm("bn2")).state_dict()
    tensors["bn2.running_mean"] = torch.tensor([1.0, 2.0, 3.0])
    rows = rows_by_name(
        network(3, BatchNorm("bn2")), InitialWeights(tensors, TREES), ("fir", "ash", "oak")
    )
    assert rows.tensors["bn2.running_mean"].tolist() == [3, 1, 0]
    assert rows.tensors["bn2.num_batches_tracked"].ndim == 0


def test_a_layer_with_other_inputs_is_left_to_its_shape() -> None:
    weights = weights_of(TREES)
    narrow = {**weights.tensors, "fc2.weight": torch.zeros(3, 2)}
    rows = rows_by_name(network(3), InitialWeights(narrow, TREES), TREES[::-1])
    assert (rows.tensors, rows.note) == (narrow, "")
