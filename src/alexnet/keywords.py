"""Errors for unknown keyword arguments and module attributes, which name the nearest known one."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from functools import wraps
from typing import ParamSpec, TypeVar

from alexnet.errors import NEAR, UnknownNameError, UsageError
from alexnet.other_names import OTHER_NAMES, SHELL_COMMANDS
from alexnet.other_words import explain

P = ParamSpec("P")
R = TypeVar("R")


def check_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that wrong arguments raise `UsageError` instead of TypeError."""
    return _checked(function, ())


def check_options(cls: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Like `check_keywords`, for functions whose `**options` are the fields of a dataclass."""
    return lambda function: _checked(function, [field.name for field in fields(cls)])


def check_positions(function: Callable[P, R]) -> Callable[P, R]:
    """Like `check_keywords`, for functions that check their `**options` themselves."""
    return _checked(function, None)


def _checked(function: Callable[P, R], options: Collection[str] | None) -> Callable[P, R]:
    signature = inspect.signature(function)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = [p.name for p in signature.parameters.values() if p.kind in kinds and p.name != "self"]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if options is not None and name not in (*own, *options):
                raise unknown_keyword(name, [*own, *options])
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"{function.__name__}: {error}; it takes {', '.join(own)}, of which all but the "
                "first are best named"
            ) from error
        return function(*args, **kwargs)

    return call


def unknown_keyword(name: str, known: Collection[str], what: str = "keyword") -> UsageError:
    """The error for an unknown option, which names the nearest one or ours for another program's.

    Args:
        name: the unknown name.
        known: the names of the options.
        what: what the message calls the name.
    """
    if answer := explain(name, known):
        return UsageError(f"unknown {what} {name!r}; {answer}")
    return UnknownNameError(what, name, known, NEAR)


class UnknownAttributeError(UsageError, AttributeError):
    """A name that a package does not have; the message names the nearest one, or a command."""

    def __init__(self, package: str, name: str, known: Collection[str]) -> None:
        close = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
        ours = OTHER_NAMES.get(name) or (close[0] if close else "")
        hint = f"did you mean {package}.{ours}?" if ours else f"it has {', '.join(sorted(known))}"
        if package == "alexnet" and name in SHELL_COMMANDS:
            hint = f"the shell has it: {SHELL_COMMANDS[name]}"
        super().__init__(f"module {package!r} has no attribute {name!r}; {hint}")
