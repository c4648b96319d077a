"""Our names for the tensors of another program's network.

A tensor's name is its module's and its kind: "backbone.features.0" and "weight". A module gets the
name of one of our layers where it says so (ours, torchvision's, with any prefix), else where the
shapes leave no doubt: the layers of the file, in order, are those of the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm, Conv, FullyConnected, Layer

TORCHVISION_NAMES = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
"""Our layer names by module name in torchvision's `alexnet`: positions in Sequential blocks."""

WRAPPER_MODULES = {
    "module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module",
}  # fmt: skip
"""Modules that hold another one and have no weights: of DataParallel, torch.compile, FSDP, ..."""
KINDS = {
    "w": "weight", "weights": "weight", "kernel": "weight", "b": "bias", "biases": "bias",
}  # fmt: skip
"""Our names of weights and biases, by those in other programs."""
LAST_PART = re.compile(r"[._](?=[a-z]+$)")
"""The separator before the last word of a name such as "fc8_w" or "fc8.weight"."""
Shape: TypeAlias = tuple[int, ...]
Modules: TypeAlias = dict[str, dict[str, str]]
"""By module and kind ("weight"), the tensor's name in the file."""


@dataclass(frozen=True)
class LocalNames:
    """Our names for a file's tensors, and which of them the order of the layers gave."""

    names: dict[str, str]
    """Our names by the file's names; a tensor that belongs to no layer keeps its own name."""
    by_order: tuple[str, ...] = ()
    """Modules matched by order and shape, since their names said too little: "net.0 is conv1"."""


def local_names(shapes: Mapping[str, Shape], arch: Architecture) -> LocalNames:
    """Find our names for a file's tensors.

    Args:
        shapes: the tensors' shapes by the file's names, in the file's order.
        arch: the architecture whose layers they should be.

    Raises:
        ValueError: two tensors get the same name.
    """
    modules = _modules(shapes)
    layers = {module: _layer_in(module, arch) for module in modules}
    ordered: dict[str, str] = {}
    if not _is_complete(layers, arch, modules):
        weights = {m: shapes[kinds["weight"]] for m, kinds in modules.items() if "weight" in kinds}
        ordered = _by_order(weights, arch, layers) or _by_order(weights, arch, {})
    chosen = {m: ordered.get(m) or layers[m] or m for m in modules}
    names: dict[str, str] = {}
    for module, kinds in modules.items():
        for kind, name in kinds.items():
            ours = f"{chosen[module]}.{kind}" if chosen[module] else kind
            if ours in names:
                raise ValueError(f"has {ours} twice, as {names[ours]} and as {name}")
            names[ours] = name
    return LocalNames(
        names={name: ours for ours, name in names.items()},
        by_order=tuple(f"{m} is {layer}" for m, layer in ordered.items() if layers[m] != layer),
    )


def _modules(names: Iterable[str]) -> Modules:
    """The tensors' names by module and kind; the names of wrapper modules are left out."""
    modules: Modules = {}
    for name in names:
        plain = name.replace("/", ".").removesuffix(":0")
        split = LAST_PART.search(plain.lower()) if "." not in plain else None
        if split:
            module, kind = plain[: split.start()], plain[split.end() :]
        else:
            module, _, kind = plain.rpartition(".")
        kind = KINDS.get(kind.lower(), kind)
        module = ".".join(part for part in module.split(".") if part not in WRAPPER_MODULES)
        modules.setdefault(module, {})
        key = kind if kind not in modules[module] else name
        modules[module][key] = name
    return modules


def _layer_in(module: str, arch: Architecture) -> str:
    """The layer named at the end of a module's name: conv1 for "net.features.0"; "" if none is.

    After it only positions may follow: "classifier.6.1" is a new head inside a Sequential.
    """
    known = {layer.name: layer.name for layer in arch.layers}
    known |= {theirs: ours for theirs, ours in TORCHVISION_NAMES.items() if ours in known}
    parts = re.sub(r"[-_ ]", "", module.lower()).split(".")
    for end in range(len(parts), 0, -1):
        for start in (end - 1, end - 2):
            layer = known.get(".".join(parts[max(start, 0) : end]))
            if layer:
                return layer
        if not parts[end - 1].isdecimal():
            break
    return ""


def _is_complete(layers: Mapping[str, str], arch: Architecture, modules: Modules) -> bool:
    """Whether modules with weights and layers with weights match one to one."""
    found = [layers[module] for module, kinds in modules.items() if "weight" in kinds]
    return sorted(found) == sorted(layer.name for layer in _weighted(arch))


def _weighted(arch: Architecture) -> list[Layer]:
    return [layer for layer in arch.layers if isinstance(layer, Conv | FullyConnected | BatchNorm)]


def _by_order(
    weights: Mapping[str, Shape], arch: Architecture, named: Mapping[str, str]
) -> dict[str, str]:
    """The layer of every module, if the shapes of their weights are those of the architecture.

    Widths may differ: each layer must take as many channels as the one before it gives. Of several
    modules that fit, the first in the file is taken. Empty if a layer has no module that fits.

    Args:
        weights: shape of each module's weight.
        arch: the architecture.
        named: the layers of modules whose names say it.
    """
    layers = _weighted(arch)
    left, channels, found = dict(weights), 0, {}
    if len(left) != len(layers):
        return {}
    for layer in layers:
        module = next(
            (
                name
                for name, shape in left.items()
                if named.get(name, "") in ("", layer.name) and _fits(layer, shape, channels)
            ),
            None,
        )
        if module is None:
            return {}
        channels = left.pop(module)[0]
        found[module] = layer.name
    return found


def _fits(layer: Layer, shape: Shape, channels: int) -> bool:
    """Whether a weight of `shape` can be this layer's.

    `channels` is the number of outputs of the layer before it; 0 for the first layer.
    """
    if isinstance(layer, Conv):
        inputs = (channels // layer.groups,) if channels else (1, 3)
        return len(shape) == 4 and shape[1] in inputs and shape[2:] == (layer.kernel, layer.kernel)
    if isinstance(layer, FullyConnected):
        return len(shape) == 2 and channels > 0 and shape[1] % channels == 0
    return shape == (channels,)
