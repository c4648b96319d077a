"""List the layers of a Keras config in the order of computation; no code in it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from alexnet.errors import ModelFileError
from alexnet.io.text import printable, short_repr

Config: TypeAlias = dict[str, Any]
MODELS = ("Sequential", "Functional", "Model")
"""Class names of models, which can be nested as layers."""
MAX_DEPTH = 10
"""Levels of nested models that a config may have."""
MAX_LISTED_LAYERS = 10_000
"""Layers that all models of a config may have together."""


@dataclass(frozen=True)
class LayerConfig:
    """A layer that is no model."""

    class_name: str
    options: Config
    """Keras's constructor arguments."""
    path: str
    """Path at which Keras 3 stores the layer's arrays: "layers/sequential/layers/conv2d_1"."""
    top: str
    """Name of the layer, or of the outermost nested model that it is part of."""
    operands: tuple[Any, ...] = ()
    """Arguments of an operation such as `x / 255`, with None in place of x."""

    @property
    def name(self) -> str:
        """The layer's name in the file."""
        return str(self.options.get("name", ""))

    def __str__(self) -> str:
        return describe(self.class_name, self.name)


def describe(class_name: Any, name: Any) -> str:
    """A layer's type and name for messages: "Conv2D 'conv2d_1'"."""
    return f"{printable(str(class_name))[:80]} {short_repr(printable(str(name)))}"


@dataclass
class _Model:
    """A model whose layers are being listed."""

    file: str
    path: str
    top: str
    depth: int = 0
    num_of_type: dict[str, int] = field(default_factory=dict)

    def layer_path(self, class_name: str) -> str:
        """The path of the next layer of a class: Keras counts the layers of each class."""
        layer_type = snake_case(class_name)
        number = self.num_of_type.get(layer_type, 0)
        self.num_of_type[layer_type] = number + 1
        return f"{self.path}layers/{layer_type}" + (f"_{number}" if number else "")


def chain_of_layers(file: str, config: Any) -> list[LayerConfig]:
    """The layers of a model and of the models inside it, from the input to the output.

    Args:
        file: the file's name, for messages.
        config: the config of a Sequential model, or of a Functional one without branches.

    Raises:
        ModelFileError: the model is of another kind, or branches; the message names the layer.
        KeyError, TypeError and others: the config is damaged.
    """
    if config["class_name"] not in MODELS:
        raise ModelFileError(
            f"{file} is a {printable(str(config['class_name']))[:80]} model, not a Sequential or "
            "Functional one; its layers are in Python code, which is not run"
        )
    layers = []
    for layer in _layers(config, _Model(file, "", "")):
        layers.append(layer)
        if len(layers) > MAX_LISTED_LAYERS:
            raise ValueError("its config lists too many layers")
    return layers


def _layers(config: Config, model: _Model) -> Iterator[LayerConfig]:
    if model.depth > MAX_DEPTH:
        raise ValueError("its models are nested too deep")
    options = config["config"]
    entries = options if isinstance(options, list) else options["layers"]  # a list before Keras 2.3
    paths = [model.layer_path(str(entry["class_name"])) for entry in entries]
    for i in _order(config, entries, model.file):
        yield from _layer(entries[i], paths[i], model)


def _layer(entry: Config, path: str, model: _Model) -> Iterator[LayerConfig]:
    """Yield a layer, or the layers of a nested model."""
    options = entry["config"]
    is_model = entry["class_name"] in MODELS
    own_name = options.get("name") if isinstance(options, dict) else None
    top = model.top or str(entry.get("name") or own_name)
    if is_model:
        yield from _layers(entry, _Model(model.file, f"{path}/", top, model.depth + 1))
    else:
        named = {"name": entry["name"], **options} if "name" in entry else options
        yield LayerConfig(str(entry["class_name"]), named, path, top, _operands(entry))


def _order(config: Config, entries: list[Config], file: str) -> list[int]:
    """The indices of the layers from input to output."""
    if config["class_name"] == "Sequential":
        return list(range(len(entries)))
    graph = _Graph(file, config["config"], entries)
    return [graph.indices[name] for name in graph.chain()]


class _Graph:
    """A graph of a Functional model's layers."""

    def __init__(self, file: str, options: Config, entries: list[Config]) -> None:
        self.file = file
        self.entries = entries
        self.indices = {_name(entry): i for i, entry in enumerate(entries)}
        self.ends = {end: _references(options[f"{end}_layers"]) for end in ("input", "output")}
        self.consumers: dict[str, list[str]] = {name: [] for name in self.indices}
        for entry in entries:
            for source in self.sources(entry):
                self.consumers[source].append(_name(entry))

    def sources(self, entry: Config) -> list[str]:
        """The layers whose outputs a layer takes."""
        nodes = entry.get("inbound_nodes") or []
        if len(nodes) > 1:
            raise ModelFileError(
                f"{self.file} applies {self.describe(_name(entry))} {len(nodes)} times; only a "
                "chain of layers, each applied once, can be imported"
            )
        return _references(nodes)

    def describe(self, name: str) -> str:
        return describe(self.entries[self.indices[name]]["class_name"], name)

    def chain(self) -> list[str]:
        """The names of the layers from input to output; ModelFileError if they are no chain."""
        for end, names in self.ends.items():
            if len(names) != 1:
                raise ModelFileError(f"{self.file} has {len(names)} {end}s; only one is supported")
        (name,), (last,) = self.ends["input"], self.ends["output"]
        chain = [name]
        while name != last:
            name = self.only_consumer(name)
            if name in chain:
                raise ValueError("its layers form a circle")
            chain.append(name)
        return chain

    def only_consumer(self, name: str) -> str:
        consumers = self.consumers[name]
        if len(consumers) == 1:
            return consumers[0]
        if not consumers:
            raise ValueError(f"nothing takes the output of {self.describe(name)}")
        first = " and ".join(self.describe(consumer) for consumer in consumers[:2])
        raise ModelFileError(
            f"{self.file} branches after {self.describe(name)}, whose output goes to {first}; "
            "only a chain of layers can be imported"
        )


def _name(entry: Config) -> str:
    return str(entry.get("name") or entry["config"]["name"])


def _references(value: Any) -> list[str]:
    """The names of the layers that a node or a list of inputs or outputs refers to.

    Keras 2 writes ["conv2d", 0, 0] or ["conv2d", 0, 0, {}], Keras 3 a dict with a "keras_history".
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [str(value["config"]["keras_history"][0])]
        return [name for item in value.values() for name in _references(item)]
    if not isinstance(value, list):
        return []
    if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
        return [value[0], *_references(value[3:])]
    return [name for item in value for name in _references(item)]


def _operands(entry: Config) -> tuple[Any, ...]:
    """The arguments of an operation in a Functional model, with None for the tensors."""
    nodes = entry.get("inbound_nodes") or []
    if not nodes:
        return ()
    if isinstance(nodes[0], dict):  # Keras 3
        arguments = [*nodes[0]["args"], *nodes[0]["kwargs"].values()]
        return tuple(None if _references(argument) else argument for argument in arguments)
    last = nodes[0][0][-1] if isinstance(nodes[0][0], list) else nodes[0][-1]  # Keras 2
    return (None, *last.values()) if isinstance(last, dict) else ()


def snake_case(class_name: str) -> str:
    """The name of a class as Keras writes it in weight files: "batch_normalization"."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
