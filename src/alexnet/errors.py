"""Every error a caller can cause, in one tree.

    AlexNetError
    ├── UsageError            a name, flag or value the user typed
    │   └── UnknownNameError  with the nearest known names
    ├── ConfigError           a recipe or table that cannot work (also a ValueError)
    │   └── ArchitectureError a layer table that does not fit its input
    ├── DataError             pictures, folders and archives
    │   └── MissingDataError  a data set that is not here, and how to get it
    ├── ModelFileError        a weight or run file that is damaged or of another net
    └── TrainingError         training cannot go on (the run is over)
        └── DivergedError     the loss or a weight is not finite

The library raises these and never prints or exits; the command line turns each into one sentence
and exit code 2.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import fields


class AlexNetError(Exception):
    """The root: a message of one sentence that names the value and the way out."""


class UsageError(AlexNetError):
    """A name, flag or value that the user typed cannot be used."""


class UnknownNameError(UsageError):
    """A name that is not in a fixed list; the message suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class ConfigError(AlexNetError, ValueError):
    """A recipe or table whose values cannot work together; the message names the field."""


class ArchitectureError(ConfigError):
    """A layer table that does not fit its input."""


class DataError(AlexNetError):
    """Pictures, folders or archives that cannot be used."""


class MissingDataError(DataError):
    """A data set that is not here; the message says what to fetch and where to put it."""


class ModelFileError(AlexNetError):
    """A weight, model or run file that is damaged or belongs to something else."""


class TrainingError(AlexNetError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The loss or a weight is not finite; the same run would end so again."""


def require(is_met: bool, message: str, error: type[AlexNetError] = ConfigError) -> None:
    """Raise `error` with `message` unless the condition is met."""
    if not is_met:
        raise error(message)


def require_not_negative(options: object, *names: str) -> None:
    """Raise ConfigError, naming the flag, if one of the numbers is below 0; None passes."""
    for name in names:
        flag, value = name.replace("_", "-"), getattr(options, name)
        require(value is None or value >= 0, f"--{flag} {value} must not be negative")


def require_finite(options: object) -> None:
    """Raise ConfigError, naming the flag, if a number is infinite or not a number."""
    for field in fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        flag = field.name.replace("_", "-")
        require(not isinstance(value, float) or math.isfinite(value), f"--{flag} is {value}")
