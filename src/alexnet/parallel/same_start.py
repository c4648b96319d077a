"""Checks that processes that train together start equal, since each reads its files itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from alexnet.errors import TrainingError
from alexnet.parallel.world import current_world

NONE = "none"
"""The text shown for a value that a process does not have."""


def check_same_start(facts: Mapping[str, object]) -> None:
    """Check that all processes have the same start values, by one exchange; all of them call it.

    Args:
        facts: by what messages call them; small values with a text.

    Raises:
        TrainingError: they differ, in every process; names the first one that is not as rank 0.
    """
    own = (socket.gethostname(), {name: str(value) for name, value in facts.items()})
    (first_host, first), *others = current_world().gather_objects(own)
    for rank, (host, other) in enumerate(others, 1):
        for name in {**first, **other}:
            values = first.get(name, NONE), other.get(name, NONE)
            if values[0] != values[1]:
                raise TrainingError(
                    f"the processes do not start from the same {name}: rank 0 ({first_host}) has "
                    f"{values[0]}, rank {rank} ({host}) has {values[1]}; see that all read the "
                    "same files (a network file system may show new ones late), and run it again"
                )
