"""The rows of a model's last layer for the classes of other data, matched by class name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile

import torch
from torch import Tensor

from alexnet.errors import ModelFileError, require
from alexnet.evaluation.alignment import find_classes
from alexnet.models.network import Network
from alexnet.parallel.same_start import NONE

MAX_NAMES = 8
"""Maximum number of class names in a note."""


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a run starts from."""

    tensors: dict[str, Tensor]
    """The weights, by their names in the architecture."""
    class_names: tuple[str, ...] = ()
    """Class names in the order of the outputs; empty where the file has none."""

    @property
    def facts(self) -> dict[str, object]:
        """The facts for `check_same_start`: a hash of these weights."""
        return {"initial weights (hash)": self.digest() or NONE}

    def digest(self) -> str:
        """A hash of the weights in hex digits; "" if there are none."""
        if not self.tensors:
            return ""
        digest = hashlib.blake2b(repr(self.class_names).encode(), digest_size=8)
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            numbers = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(numbers.view(torch.uint8).numpy().data)
        return digest.hexdigest()


NO_WEIGHTS = InitialWeights({})


@dataclass(frozen=True)
class OutputRows:
    """Initial weights whose last layer has a row for every class of the data."""

    tensors: dict[str, Tensor]
    new: tuple[str, ...] = ()
    """Tensors of which some rows are randomly initialized."""
    note: str = ""
    """A sentence on rows that are new, have moved, or are kept without class names; "" if there are
    none."""


def rows_by_name(
    network: Network, weights: InitialWeights, class_names: tuple[str, ...]
) -> OutputRows:
    """The weights, with the last layer's rows moved to the positions of their classes.

    Classes are matched as in an evaluation (`match_classes`). A class that the model does not know
    keeps the network's row. If it knows none, its last layer is left out. Where the weights have
    no class names, shapes decide.

    Args:
        network: randomly initialized, with an output for every class of the data.
        weights: of a model with these or other classes.
        class_names: of the data.

    Raises:
        ModelFileError: the weights have this layer alone, and none of the classes.
    """
    tensors, names, own = weights.tensors, weights.class_names, network.state_dict()
    layer = network.architecture.output_layer
    outputs = _outputs(network, tensors)
    if not outputs or names == class_names:
        return OutputRows(tensors)
    num_rows = len(tensors[outputs[0]])
    if len(names) != num_rows or names == tuple(f"class {i}" for i in range(num_rows)):
        return OutputRows(tensors, note=_by_position(layer, num_rows, class_names))
    places = find_classes(names, class_names)
    known = [(row, place) for row, place in enumerate(places) if place is not None]
    if not known and num_rows != len(class_names):
        return OutputRows(tensors)
    if not known:
        left = {name: tensor for name, tensor in tensors.items() if name not in outputs}
        text = f"{layer} is new: the model knows none of the classes; its own are {_listed(names)}"
        require(bool(left), f"none of the weights are used; {text}", ModelFileError)
        return OutputRows(left, note=text)
    rows, sources = (torch.tensor(numbers) for numbers in zip(*known, strict=True))
    moved = {n: own[n].index_copy(0, rows, tensors[n][sources].to(own[n].dtype)) for n in outputs}
    new = [name for name, place in zip(class_names, places, strict=True) if place is None]
    return OutputRows(
        tensors | moved,
        new=tuple(outputs) if new else (),
        note="" if places == [*range(num_rows)] else _moved(layer, names, class_names, new),
    )


def _outputs(network: Network, tensors: dict[str, Tensor]) -> list[str]:
    """Names of the tensors with one row per class: of the last layer with weights, and later norms.

    Empty where the rows have other sizes than the network's.
    """
    arch, own = network.architecture, network.state_dict()
    names = [layer.name for layer in arch.layers]
    last = [*dropwhile(lambda name: name != arch.output_layer, names)]
    found = [name for name in own if name.rpartition(".")[0] in last and own[name].ndim]
    fits = [n for n in found if n in tensors and tensors[n].shape[1:] == own[n].shape[1:]]
    return fits if f"{arch.output_layer}.weight" in fits and _agree(tensors, fits) else []


def _agree(tensors: dict[str, Tensor], names: list[str]) -> bool:
    return len({len(tensors[name]) for name in names}) == 1


def _by_position(layer: str, num_rows: int, class_names: tuple[str, ...]) -> str:
    """The note on a last layer kept without class names; "" if its number of rows does not fit."""
    if num_rows != len(class_names):
        return ""
    return (
        f"{layer} is kept, although the weights have no class names: their first output is now "
        f"{class_names[0]!r}, and so on in this order"
    )


def _moved(layer: str, names: tuple[str, ...], class_names: tuple[str, ...], new: list[str]) -> str:
    count = len(class_names)
    if not new and len(names) == count:
        return f"{layer}: the model has the classes in another order; its rows follow their names"
    of_model = "" if new else f", which has {len(names):,}"
    text = f"{layer}: {count - len(new):,} of {count:,} classes from the model{of_model}"
    return f"{text}; new: {_listed(new)}" if new else text


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return f"{', '.join(names[:MAX_NAMES])}{more}"
