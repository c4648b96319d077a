"""Find the tensors of a network in the checkpoint of another program.

Trainers keep a state dict under many keys ("state_dict", "model", "net", one inside the other),
beside options, optimizers and averaged weights. Here a state dict is known by what it is: a dict
that has matrices or kernels under names that end in "weight" or the like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from torch import Tensor

from alexnet.checkpoints.inert_pickle import Inert
from alexnet.checkpoints.stored_tensors import OtherTensor, StoredArray, StoredTensor
from alexnet.io.text import printable

Stored: TypeAlias = Tensor | StoredTensor | StoredArray | OtherTensor
"""A tensor in memory, or where it is in the file."""
WEIGHT_NAME = re.compile(r"(^|[._/])(weights?|weight_\w+|kernel|w|original\d)(:0)?$", re.IGNORECASE)
"""How the names of weights end, in torch, TensorFlow and Caffe."""
MAX_DEPTH = 6
"""How many levels of nested dicts are searched for tensors."""
MAX_KEY_LENGTH = 200
MAX_ENTRIES = 100_000
"""How many entries all these dicts may have together."""
SEPARATORS = r"[._\-/ ]"
EARLIER_WORDS = {"best", "initial", "init", "old", "previous", "prev"}
"""First words in the keys of weights of an earlier step."""
TRAINER_MODULES = re.compile(
    r"(.*_)?((ce|bce|focal|cross_?entropy)?loss(_?(fn|func|function))?|criterion|metrics?|acc"
    r"(uracy)?|f1(_?score)?|precision|recall|auroc|confmat|confusion_?matrix)([0-9]|_.*)?",
    re.IGNORECASE,
)
"""Names of modules that a trainer saves with the network: losses with their class weights, and
counts of metrics, as Lightning does."""
AVERAGE_WORDS = {"ema", "modelema", "emamodel", "swa", "averaged", "shadow", "polyak", "teacher"}
"""Words in the keys of weights that are an average over training steps."""
CLASS_NAMES = ("class_names", "classes", "class_to_idx", "idx_to_class")
"""Keys under which trainers save the names of the classes, as lists or as dicts by or to numbers;
`class_to_idx` is that of torchvision's ImageFolder."""
COMPANIONS = re.compile(r"optim|\bopt\b|sched|scaler|rng|random|hist|callback|loops", re.IGNORECASE)
"""Words in the names of what trainers save beside the network: optimizers, random states, .."""


def find_tensors(content: object) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """The tensors of every state dict in a checkpoint; a name is all keys on the way, with dots.

    Single numbers that belong to no layer, such as "best_acc1", are left out. So is everything in
    dicts without weights: the state of optimizers, histories, random generators.

    Returns:
        The tensors, and the names of those left out, but for single numbers and for names that
        match COMPANIONS.
    """
    found: dict[str, Stored] = {}
    others: dict[str, Stored] = {}
    entries_left = MAX_ENTRIES
    for path, node in _dicts(content, (), {}):
        entries_left -= len(node)
        if entries_left < 0:
            raise ValueError(f"it has more than {MAX_ENTRIES:,} entries")
        tensors = {_text(key): value for key, value in node.items() if _is_tensor(value)}
        is_state_dict = any(_is_weight(key, tensor) for key, tensor in tensors.items())
        place = found if is_state_dict else others
        place |= {".".join((*path, key)): tensor for key, tensor in tensors.items()}
    kept = {name: tensor for name, tensor in found.items() if not _is_of_trainer(name, tensor)}
    left_out = {name: t for name, t in (found | others).items() if name not in kept}
    return kept, tuple(
        name for name, t in left_out.items() if tensor_size(t) and not COMPANIONS.search(name)
    )


def find_class_names(content: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every list of class names in a checkpoint, in the order of the outputs, with its key."""
    seen: dict[int, object] = {}  # a file can have one list under any number of keys
    for _, node in _dicts(content, (), {}):
        values = {
            key: node[key] for key in CLASS_NAMES if key in node and id(node.get(key)) not in seen
        }
        seen |= {id(value): value for value in values.values()}
        yield from ((key, names) for key, value in values.items() if (names := _names(value)))


def _names(value: object) -> tuple[str, ...]:
    """The class names in a list, or in a dict by or to their indices; () for any other value."""
    if isinstance(value, dict):
        numbers = all(isinstance(number, int) for number in value.values())
        by_number = {n: name for name, n in value.items()} if numbers else dict(value.items())
        if by_number.keys() != set(range(len(value))):
            return ()
        value = [by_number[i] for i in range(len(value))]
    names = value if isinstance(value, list | tuple) else ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _is_weight(name: str, tensor: Stored) -> bool:
    return len(tensor_size(tensor)) > 1 and bool(WEIGHT_NAME.search(name))


def _is_of_trainer(name: str, tensor: Stored) -> bool:
    """Whether a tensor belongs to an optimizer, a loss or a metric, or is a number in no module."""
    if name.startswith("optim") or ("." not in name and not tensor_size(tensor)):
        return True
    module = name.split(".")[-2:-1]
    return bool(module and TRAINER_MODULES.fullmatch(module[0]))


def _dicts(
    value: object, path: tuple[str, ...], seen: dict[int, object]
) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    """A dict and all dicts in it, each once, with the keys that lead there."""
    node = _as_dict(value)
    if node is None or id(value) in seen or len(path) > MAX_DEPTH:
        return
    seen[id(value)] = value
    yield path, node
    for key, inner in node.items():
        yield from _dicts(inner, (*path, _text(key)), seen)


def _text(key: object) -> str:
    """A dict's key as short, printable text for messages; a file can have any object as a key."""
    return printable(str(key)[:MAX_KEY_LENGTH])


def _as_dict(value: object) -> dict[Any, Any] | None:
    """The value as a dict of tensors; None if it cannot be one.

    Accepted are a dict, a list of (name, tensor), a list of a weight and a bias, and a numpy array
    of one object that is any of these.
    """
    if isinstance(value, dict):
        return dict(dict.items(value))
    if isinstance(value, StoredArray) and isinstance(value.data, list) and len(value.data) == 1:
        return _as_dict(value.data[0])
    if isinstance(value, list) and len(value) in (1, 2) and all(map(_is_tensor, value)):
        return dict(zip(("weight", "bias"), value, strict=False))
    is_pairs = isinstance(value, list) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
    )
    return dict(value) if is_pairs and isinstance(value, list) else None


def _is_tensor(value: object) -> bool:
    is_array = isinstance(value, StoredArray) and not isinstance(value.data, list)
    return is_array or isinstance(value, Tensor | StoredTensor | OtherTensor)


def tensor_size(tensor: Stored) -> tuple[int, ...]:
    """The shape of a tensor that may not be loaded yet."""
    return tuple(tensor.shape) if isinstance(tensor, Tensor) else tensor.size


def is_average(name: str) -> bool:
    """Whether the name is of an averaged weight, such as "model_ema.module.conv1.weight"."""
    return not AVERAGE_WORDS.isdisjoint(re.split(SEPARATORS, name.lower()))


def is_earlier(name: str) -> bool:
    """Whether the name is of a weight of an earlier step, such as "best_model.conv1.weight"."""
    return re.split(SEPARATORS, name.lower())[0] in EARLIER_WORDS


def describe_content(file: str, content: object) -> str:
    """What a checkpoint without a state dict holds, and what to do, as a clause of a message."""
    models = {"": content, **(content if isinstance(content, dict) else {})}
    for key, value in models.items():
        if isinstance(value, Inert) and _is_module(value):
            part = f"[{key!r}]" if key else ""
            kind = _text(f"{type(value).__module__}.{type(value).__name__}")
            return (
                f"it holds a whole model ({kind}), whose code is not run; where that class is, "
                f"save its weights alone: torch.save(torch.load({file!r}, weights_only=False)"
                f"{part}.state_dict(), 'weights.pth')"
            )
    if isinstance(content, dict) and content:
        keys = ", ".join(_text(key)[:40] for key in list(content)[:8])
        more = ", .." if len(content) > 8 else ""
        return (
            f"its keys are {keys}{more}, and none holds the weights of a network; save those: "
            "torch.save(model.state_dict(), 'weights.pth')"
        )
    return (
        f"it holds {_kind_text(content)}; save a network's weights: "
        "torch.save(model.state_dict(), 'weights.pth')"
    )


def _is_module(value: Inert) -> bool:
    state = value.state
    return isinstance(state, dict) and "_modules" in state


def _kind_text(content: object) -> str:
    if _is_tensor(content):
        return "a single tensor"
    if isinstance(content, dict | list | tuple | set) and not isinstance(content, Inert):
        return f"a {type(content).__name__} with {len(content)} entries"
    return f"an object of type {_text(type(content).__name__)}"
