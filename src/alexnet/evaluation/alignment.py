"""Which class of a model each class of a data set is."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.datasets.imagenet_classes import imagenet_words, match_wnids, possible_wnids
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.inference.classifier import Classifier

SHOWN_CLASSES = 5


def align_labels(classifier: Classifier, store: Store) -> np.ndarray:
    """The store's labels as indices of the model's classes, int64 [N]; see `match_classes`.

    Raises:
        DataError: the data has a class that the model does not know, or that could be several.
    """
    own = match_classes(classifier.class_names, store.info.class_names, store.info.name)
    return np.asarray(np.array(own, dtype=np.int64)[store.labels])


def match_classes(model: Sequence[str], data: Sequence[str], data_name: str) -> list[int]:
    """The index of the model's class for every class of some data.

    Classes that have a wnid on both sides are matched by it, whatever they are called; the others
    by equal names, composed and decomposed Unicode being equal. Classes called 0 to 999, all of
    them, are ImageNet's in sorted order.

    Args:
        model: class names in the order of the outputs.
        data: class names of the data.
        data_name: name of the data set, for messages.

    Raises:
        DataError: a class is not among the model's, or could be several of them.
    """
    if tuple(model) == tuple(data):
        return list(range(len(model)))
    own = []
    for name, places in zip(data, _possible_classes(model, data), strict=True):
        if len(places) > 1:
            raise _several_error(name, data_name, [model[place] for place in places])
        if not places:
            raise _unknown_error(name, data_name, model)
        own += places
    return own


def find_classes(model: Sequence[str], data: Sequence[str]) -> list[int | None]:
    """What `match_classes` returns, with None for a class that is unknown or could be several."""
    possible = _possible_classes(model, data)
    return [places[0] if len(places) == 1 else None for places in possible]


def _possible_classes(model: Sequence[str], data: Sequence[str]) -> list[list[int]]:
    """All classes of the model that each class of the data can be."""
    outputs = _Outputs.of(model)
    return [outputs.places(*known) for known in zip(data, _data_wnids(data), strict=True)]


@dataclass(frozen=True)
class _Outputs:
    """The indices of a model's classes by name and by wnid."""

    by_name: dict[str, list[int]]
    by_wnid: dict[str, list[int]]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Outputs:
        return cls(_places(map(_composed, names)), _places(match_wnids(names)))

    def places(self, name: str, wnid: str) -> list[int]:
        """The indices of all model classes that a class of the data can be, sorted."""
        same_name = self.by_name.get(_composed(name), [])
        if not wnid:
            possible = [p for w in possible_wnids(name) for p in self.by_wnid.get(w, [])]
            return sorted(possible) if len(possible) > 1 else same_name
        same_wnid = self.by_wnid.get(wnid, [])
        if not set(same_name) & set(same_wnid):
            return sorted(same_wnid + same_name)
        return same_wnid


def _places(keys: Iterable[str]) -> dict[str, list[int]]:
    """The indices at which each key occurs; "" is left out."""
    found = defaultdict(list)
    for index, key in enumerate(keys):
        if key:
            found[key].append(index)
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _data_wnids(names: Sequence[str]) -> Sequence[str]:
    """The wnids of the data's classes, "" where a class has none."""
    wnids = {str(number): wnid for number, wnid in enumerate(imagenet_words())}
    if set(names) == set(wnids):
        return [wnids[name] for name in names]
    return match_wnids(names)


def _several_error(name: str, data_name: str, found: list[str]) -> DataError:
    """The error for a class that could be several of the model's."""
    if len(set(found)) == 1:
        return DataError(
            f"the model has {len(found)} classes called {found[0]!r}, so that {name!r} of "
            f"{data_name} cannot be told; import it again with --class-names that differ"
        )
    choices = " or ".join(map(repr, found))
    return DataError(
        f"the class {name!r} of {data_name} could be {choices} of the model; "
        "call it by its wnid, such as n02012849"
    )


def _unknown_error(name: str, data_name: str, model: Sequence[str]) -> DataError:
    """The error for a class that the model does not know."""
    first = ", ".join(model[:SHOWN_CLASSES])
    hint = ""
    if len(possible_wnids(name)) > 1:
        hint = f"; in ImageNet {name!r} is {' or '.join(sorted(possible_wnids(name)))}"
    elif list(model) == [f"class {i}" for i in range(len(model))]:
        hint = "; import it again with --class-names FILE"
    elif name.isdecimal():
        hint = "; write its name or its wnid in place of the number"
    return DataError(
        f"the model does not know the class {name!r} of {data_name}; "
        f"its {len(model):,} classes are {first}{' ..' if len(model) > SHOWN_CLASSES else ''}{hint}"
    )
