"""The error for a name that no architecture has."""

from __future__ import annotations

from collections.abc import Collection

from alexnet.errors import UnknownNameError, UsageError
from alexnet.io.text import short_repr
from alexnet.other_names import OTHER_FAMILIES


def unknown_architecture(name: object, known: Collection[str]) -> UsageError:
    """The error for a name that no architecture has; it suggests names that are like it."""
    if not isinstance(name, str):
        return UsageError(f"an architecture is named by a text, not {short_repr(name)}")
    if name.lower().startswith(OTHER_FAMILIES):
        return UsageError(
            f"there is no architecture {name!r}, only AlexNets and their like; alexnet summary "
            "lists them"
        )
    return UnknownNameError("architecture", name, known)
