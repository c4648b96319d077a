"""How large a network may be that a file or a flag asks for, and whether a file's tensors are its.

Whatever is larger is refused before any memory is taken: a table of a few lines of JSON can ask for
more than there is on earth.
"""

from __future__ import annotations

from math import prod

from alexnet.errors import ArchitectureError
from alexnet.models.architecture import Architecture

LARGEST_PARAMETERS = 1 << 29
"""2.1 GB of weights; the paper's net has 61 million."""
LARGEST_MAPS = 1 << 28
"""Values that one layer may give for one picture, 1.1 GB; the paper's conv1 gives 290 thousand."""
LARGEST_MACS = 1 << 40
"""Multiply-accumulates for one picture, tens of seconds; the paper's net has 720 million."""


def check_limits(table: Architecture) -> None:
    """Refuse a table that no usual machine can hold or compute.

    Raises:
        ArchitectureError: names the figure and the largest one.
    """
    rows = table.rows()
    figures = (
        ("parameters", sum(row.parameters for row in rows), LARGEST_PARAMETERS),
        ("values in one layer", max(prod(row.output) for row in rows), LARGEST_MAPS),
        ("multiply-accumulates a picture", sum(row.macs for row in rows), LARGEST_MACS),
    )
    for name, figure, largest in figures:
        if figure > largest:
            raise ArchitectureError(
                f"{table.name} would have {figure:,} {name}, and at most {largest:,} are taken; "
                "make it narrower, or its input smaller"
            )
