"""The colors of a drawing."""

from __future__ import annotations

from typing import NamedTuple

INK, MUTED, RULE, DENSE = "#222222", "#6f6f6f", "#d4d4d4", "#dfe8e2"
KERNEL, POOLING_WINDOW = "#c8560b", "#5b6472"


class Colors(NamedTuple):
    """The colors of the three visible faces of a block and of its edges."""

    front: str
    top: str
    side: str
    edge: str


COLORS = {
    "input": Colors("#d9cdb8", "#ebe3d5", "#f5f0e6", "#8a7a5c"),
    "conv": Colors("#8fb4de", "#bcd3ee", "#dfeaf7", "#2f6db3"),
    "pool": Colors("#b9c0c9", "#d5dae0", "#eceff2", "#6b7280"),
    "fc": Colors("#93c4a6", "#bfdecb", "#d9ecdf", "#2f7d52"),
}
"""The colors of a stage, by its kind."""
