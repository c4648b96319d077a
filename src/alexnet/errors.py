"""Every error a caller can cause, in one tree.

    AlexNetError
    ├── UsageError            a name, flag or value the user typed
    │   └── UnknownNameError  with the nearest known names
    ├── ConfigError           a recipe or option that cannot work (also a ValueError)
    │   └── ArchitectureError layers that do not fit the input or each other
    ├── DataError             images, folders and archives
    │   └── MissingDataError  a data set that is not found, and how to get it
    ├── ModelFileError        a model or run file that is damaged or of another network
    ├── ProcessLostError      another process of the same work has ended or hangs
    └── TrainingError         training cannot continue
        └── DivergedError     the loss or a weight is not finite

The library raises these and never prints or exits. The command line prints the message, which is
one sentence, and exits with code 2.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

NEAR = 0.75
"""Minimum similarity (difflib's ratio, 0 to 1) at which a name is suggested for a misspelt one."""
OTHER_VALUES = {
    **dict.fromkeys(("float16", "16", "16-mixed", "16-true", "half", "amp"), "fp16"),
    **dict.fromkeys(("bfloat16", "bf16-mixed", "bf16-true"), "bf16"),
    **dict.fromkeys(("fp32", "32", "32-true", "full", "float", "single"), "float32"),
}
"""The values of options by their names in other programs."""
_LONG_WORD = re.compile(r"(\S{100})\S{400,}(\S{20})")


def with_short_words(text: str) -> str:
    """The text, with the middle of very long words left out."""
    return _LONG_WORD.sub(r"\1...\2", text)


class AlexNetError(Exception):
    """Base class; the message is one sentence that names the value and what to do about it.

    Very long words in it, such as a file in base64 that was given as a path, are shortened.
    """

    def __init__(self, message: str = "", *args: object) -> None:
        super().__init__(with_short_words(message), *args)


class UsageError(AlexNetError):
    """A name, flag or value that the user typed cannot be used."""


class UnknownNameError(UsageError):
    """A name that is not in a fixed list; the message suggests similar names.

    Args:
        kind: what the message calls the name.
        name: the name as typed.
        known: the list.
        likeness: minimum similarity (difflib's ratio, 0 to 1) of a suggested name.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], likeness: float = 0.5) -> None:
        names = sorted(set(known) - {""})
        close = nearest_words(name, names, n=3, cutoff=likeness)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class ConfigError(AlexNetError, ValueError):
    """A recipe or option that cannot work; the message names the field or flag."""


class ArchitectureError(ConfigError):
    """Layers that do not fit the input or each other."""


class DataError(AlexNetError):
    """Images, folders or archives that cannot be used."""


class MissingDataError(DataError):
    """A data set that is not found; the message says what to download and where to put it."""


class ModelFileError(AlexNetError):
    """A model or run file that is damaged or belongs to another network."""


class ProcessLostError(AlexNetError):
    """Another process that works with this one has ended or does not answer.

    Args:
        message: names the process.
        is_told: whether another process reports the error, so that this one may end silently.
    """

    def __init__(self, message: str, *, is_told: bool = False) -> None:
        super().__init__(message)
        self.is_told = is_told


class TrainingError(AlexNetError):
    """Training cannot continue."""


class DivergedError(TrainingError):
    """The loss or a weight is not finite; running the same recipe again would diverge again."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then the error that it was raised from, and so on."""
    while error:
        yield error
        error = error.__cause__


def require(condition: bool, message: str, error: type[AlexNetError] = ConfigError) -> None:
    """Raise `error` with `message` unless `condition` is true."""
    if not condition:
        raise error(message)


def nearest_words(word: object, known: Sequence[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known word that means the same, else up to `n` that are spelt alike, best first."""
    other = OTHER_VALUES.get(str(word).lower().removeprefix("torch."), "")
    if other in known:
        return [other]
    return difflib.get_close_matches(str(word), known, n=n, cutoff=cutoff)


def require_choice(options: object, name: str, known: Sequence[str]) -> None:
    """Raise ConfigError, naming the flag and the nearest choice, if a value is not in `known`."""
    flag, value = name.replace("_", "-"), getattr(options, name)
    close = nearest_words(str(value).lower(), known)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    require(value in known, f"--{flag} {value!r} must be one of {', '.join(known)}{hint}")


def require_not_negative(options: object, *names: str) -> None:
    """Raise ConfigError, naming the flag, for an option below 0.

    In this and the next checks None is allowed where the dataclass's field has it in its type.
    """
    for flag, value in _given(options, names):
        require(value >= 0, f"{flag} must not be negative")


def require_at_least(options: object, minimum: float, *names: str) -> None:
    """Raise ConfigError, naming the flag, for an option below a minimum."""
    for flag, value in _given(options, names):
        require(value >= minimum, f"{flag} must be at least {minimum}")


def require_within(options: object, low: float, high: float, *names: str) -> None:
    """Raise ConfigError, naming the flag, for an option outside [low, high]."""
    for flag, value in _given(options, names):
        require(low <= value <= high, f"{flag} must be from {low} to {high}")


def require_below_1(options: object, *names: str) -> None:
    """Raise ConfigError, naming the flag, for an option outside [0, 1)."""
    for flag, value in _given(options, names):
        require(0 <= value < 1, f"{flag} must be from 0 to below 1")


def _given(options: object, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    """The flag with its value, and the value, of every option that is not None.

    Raises:
        ConfigError: an option is None, and the type of its field is without None.
    """
    types = {field.name: str(field.type) for field in fields(options)}  # type: ignore[arg-type]
    for name in names:
        flag, value = name.replace("_", "-"), getattr(options, name)
        if value is not None:
            yield f"--{flag} {value}", value
        else:
            require("None" in types[name], f"--{flag} None must be a number")


def require_learning_rate(options: object, name: str) -> None:
    """Raise ConfigError, naming the flag, if a learning rate is not above 0."""
    flag, value = name.replace("_", "-"), getattr(options, name)
    require(value > 0, f"--{flag} {value:g} must be above 0: no weight would learn anything")


def require_finite(options: object) -> None:
    """Raise ConfigError, naming the flag, if an option is infinite or NaN."""
    for field in fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        flag = field.name.replace("_", "-")
        require(not isinstance(value, float) or math.isfinite(value), f"--{flag} is {value}")
