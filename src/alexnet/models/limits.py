"""The maximum size of an architecture that a file or a flag describes."""

from __future__ import annotations

from math import prod

from alexnet.errors import ArchitectureError, require
from alexnet.io.limits import MAX_ACTIVATIONS, MAX_MACS, MAX_PARAMETERS
from alexnet.models.architecture import Architecture


def check_limits(arch: Architecture) -> None:
    """Reject an architecture that a usual machine cannot hold or compute.

    Call it before the network is built: a few lines of JSON can describe any number of parameters.

    Raises:
        ArchitectureError: names the number and its limit.
    """
    infos = arch.layer_infos()
    numbers = (
        ("parameters", sum(info.parameters for info in infos), MAX_PARAMETERS),
        ("outputs of one layer", max(prod(info.output) for info in infos), MAX_ACTIVATIONS),
        ("multiply-accumulates per image", sum(info.macs for info in infos), MAX_MACS),
    )
    for name, number, limit in numbers:
        require(
            number <= limit,
            f"{arch.name} has {number:,} {name}, more than the limit of {limit:,}; "
            "reduce the width or the input size",
            ArchitectureError,
        )
