"""Checks that a network still is what its architecture says, since only that is saved in a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from alexnet.errors import ArchitectureError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Layer
from alexnet.models.modules import has_own_forward
from alexnet.models.network import Network, runs_its_layers

WITHOUT_EFFECT = (
    "training", "inplace", "p", "momentum",
    "is_last", "allows_bf16_gradient", "pads", "steps", "name",
)  # fmt: skip
"""Attributes of modules on which no prediction depends (dropout's rate, batch norm's momentum in
training), or that repeat another."""
REMEDY = (
    "write the change as an Architecture of your own and load the weights into its network, or "
    "save the network by torch.save"
)


def check_layers(network: nn.Module, arch: Architecture) -> None:
    """Check that the modules of a network have the classes and settings of its architecture.

    A layer may be of torch's own class (`fc8 = nn.Linear(4096, 10)`), and compiled. Modes, types,
    devices and values are not looked at.

    Raises:
        ArchitectureError: names the first layer that differs, and what to do.
    """
    if difference := _first_difference(network, arch):
        raise ArchitectureError(f"it does not fit its own architecture: {difference}; {REMEDY}")


def check_no_hooks(network: nn.Module) -> None:
    """Check that nothing is called before or after the forward pass of a layer.

    Raises:
        ArchitectureError: names the first layer with such a hook.
    """
    for name, module in network.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            kind = "forward hook" if module._forward_hooks else "forward pre-hook"
            raise ArchitectureError(
                f"{name or 'the network'} has a {kind}, which no architecture has; remove it before"
            )


def _first_difference(network: nn.Module, arch: Architecture) -> str:
    """The first difference between a network and its architecture, in words; "" without one."""
    with torch.device("meta"):
        own = Network(arch).layer_modules()
    if not runs_its_layers(network):
        return f"its {type(network).__name__} has a forward pass of its own"
    assert isinstance(network, Network)
    found = {**network.layer_modules(), **dict(network.named_children())}
    for name in (*own, *found):
        if name not in found or name not in own:
            return f"it {'also has' if name in found else 'lacks'} {name}"
        if difference := _difference(getattr(found[name], "_orig_mod", found[name]), own[name]):
            return f"{name}{difference}"
    return "" if list(found) == list(own) else "its layers are in another order"


def _difference(found: nn.Module, own: nn.Module) -> str:
    """The difference, to be read after the layer's name; "" if both layers compute the same."""
    if not isinstance(own, type(found)):
        return f" is {_class(found)}, and should be {_class(own)}"
    if has_own_forward(found):
        return " has a forward pass of its own"
    settings = _settings(found)
    for name, value in _settings(own).items():
        other = settings.get(name, 0)  # torch's own classes have no extra_padding
        if other != value:
            return f".{name} is {other}, and should be {value}"
    return ""


def _class(module: nn.Module) -> str:
    """A module's package and class, since two packages may have classes of the same name."""
    return f"{type(module).__module__.partition('.')[0]}'s {type(module).__name__}"


def _settings(module: nn.Module) -> dict[str, Any]:
    """A module's attributes that affect its output; for a norm the fields of its layer."""
    layer = vars(module).get("layer")
    values = {**vars(module), **(asdict(layer) if isinstance(layer, Layer) else {})}
    left_out = ("layer", *WITHOUT_EFFECT)
    return {n: v for n, v in values.items() if not n.startswith("_") and n not in left_out}
