"""Change a recipe by options, which have the names of the command line's flags.

`with_options(recipe, {"lr": 0.01, "input_size": 128})` finds each name in the recipe or in one of
its groups, as `--lr 0.01 --input-size 128` does.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar, get_args

from alexnet.config.serialization import UnknownKeyError, field_types, parse_value
from alexnet.errors import NEAR, ConfigError, UsageError
from alexnet.io.paths import table_hint
from alexnet.io.text import short_repr
from alexnet.keywords import unknown_keyword
from alexnet.models.field_checks import plain_number
from alexnet.other_words import ANSWERS, explain, option_for

T = TypeVar("T")

FLAG_WORDS = {"init_from": "from", "class_name": "class"}
"""Flags that differ from their option's name, since they are keywords of Python."""
SET_BY_PROGRAM = ("replanned",)
"""Fields that the program sets itself: no options, flags or keywords."""


def flag_name(option: str) -> str:
    """The flag of an option: "--batch-size" for "batch_size", "--from" for "init_from"."""
    return f"--{FLAG_WORDS.get(option, option).rstrip('_').replace('_', '-')}"


def option_types(cls: type) -> dict[str, Any]:
    """The types of a recipe's options by name, with those of its groups, without SET_BY_PROGRAM."""
    types: dict[str, Any] = {}
    for name, hint in field_types(cls).items():
        if name in SET_BY_PROGRAM:
            continue
        types |= option_types(hint) if is_dataclass(hint) else {name: hint}  # type: ignore[arg-type]
    return types


def into_groups(cls: type, plain: Any) -> Any:
    """Move the options of a config file that are named like flags into their groups.

    {"lr": 0.01, "batch-size": 8} becomes {"optimizer": {"lr": 0.01}, "batch_size": 8}.

    Args:
        cls: the recipe's class.
        plain: the parsed JSON; a value that is no object, and unknown keys, are left unchanged.

    Raises:
        ConfigError: a value is given twice, or an unknown key is another program's name of an
            option or a misspelt one.
    """
    if not isinstance(plain, dict):
        return plain
    own, known = field_types(cls), option_types(cls)
    nested: dict[str, Any] = {key: dict(v) for key, v in plain.items() if _is_object(own, key, v)}
    for key, value in plain.items():
        if _is_object(own, key, value):
            continue
        name = next((n for n in known if flag_name(n) == f"--{key.replace('_', '-')}"), key)
        group = _group_of(own, name)
        if not (group or name in own):
            _check_word(key, known)
        place = nested.setdefault(group, {}) if group else nested
        if name in place:
            raise ConfigError(f"{name} is given twice; leave one of them out")
        place[name] = value
    return nested


def _is_object(own: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether an item of a config file is a group of options, given as an object."""
    return isinstance(value, dict) and is_dataclass(own.get(key))


def _group_of(own: Mapping[str, Any], name: str) -> str:
    """The name of the group that has an option; "" for the recipe's own and for unknown ones."""
    if name in own and not is_dataclass(own[name]):
        return ""
    groups = [(group, hint) for group, hint in own.items() if is_dataclass(hint)]
    return next((group for group, hint in groups if name in option_types(hint)), "")  # type: ignore[arg-type]


def _check_word(key: str, known: Collection[str]) -> None:
    """Raise UnknownKeyError if an unknown key resembles an option or is another program's name."""
    close = difflib.get_close_matches(key.replace("-", "_"), known, n=1, cutoff=NEAR)
    answer = explain(key, known) or (f"did you mean {close[0]!r}?" if close else "")
    if answer:
        raise UnknownKeyError(f"recipe has no key {key!r}; {answer}")


def with_options(recipe: T, options: Mapping[str, Any], others: Collection[str] = ()) -> T:
    """Change options of a recipe.

    Args:
        recipe: a frozen dataclass; fields that are dataclasses are groups of options.
        options: values by name; the name of a group takes a whole group: `augment=Augmentation()`.
        others: names of other arguments of the caller, which messages may suggest.

    Raises:
        UnknownNameError: there is no such option; the message names the nearest one.
        UsageError: the value has the wrong type.
        ConfigError: the value is out of range, or does not fit the others.
    """
    known, own = option_types(type(recipe)), field_types(type(recipe))
    for name, value in options.items():
        if name in known or _is_group(own.get(name), value):
            continue
        if is_dataclass(own.get(name)) and not option_for(name, known):
            raise _not_a_group(name, own[name], value)
        raise unknown_keyword(name, [*known, *others], "option")
    return _changed(recipe, options)


def _is_group(hint: Any, value: object) -> bool:
    """Whether a value is a whole group of options, for a field of the type `hint`."""
    return isinstance(hint, type) and is_dataclass(hint) and isinstance(value, hint)


def _not_a_group(name: str, hint: type, value: object) -> UsageError:
    """The error for a value that is given to a whole group of options."""
    nothing = "; crop='center', flip=False, color_std=0 is no augmentation"
    return UsageError(
        f"{name} takes {hint.__module__}.{hint.__name__}(..), not {short_repr(value)}; its options "
        f"can be given alone, too: {', '.join(option_types(hint))}"
        f"{nothing if name == 'augment' and not value else ''}"
    )


def _changed(recipe: T, options: Mapping[str, Any]) -> T:
    """Replace the options that the recipe or one of its groups has; others are ignored."""
    changes: dict[str, Any] = {}
    for name, hint in field_types(type(recipe)).items():
        if not is_dataclass(hint):
            if name in options:
                changes[name] = _checked(hint, options[name], name)
            continue
        whole = _is_group(hint, options.get(name))
        start = options[name] if whole else getattr(recipe, name)
        rest = {n: v for n, v in options.items() if n != name} if whole else options
        changes[name] = _changed(start, rest)
    return replace(recipe, **changes)  # type: ignore[type-var]


def _checked(hint: Any, value: Any, name: str) -> Any:
    """Convert a Python value to the option's type.

    Raises:
        UsageError: it has another type.
    """
    if is_dataclass(value) and type(value) in get_args(hint):
        return value
    if isinstance(value, slice):  # fastai's learning rates of the first and the last layer
        raise UsageError(f"{name} is one number, not {value}; {ANSWERS['layer_decay']}")
    try:
        return parse_value(hint, _plain(value), name)
    except ConfigError as error:
        if hint := table_hint(value):
            raise UsageError(f"{name} cannot be a {type(value).__name__}{hint}") from error
        raise UsageError(str(error)) from error


def _plain(value: Any) -> Any:
    """The value as JSON has it: paths as strings, tuples as lists, numpy's numbers as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if (type(value).__module__, type(value).__name__) == ("torch", "device"):
        return str(value)
    if isinstance(value, tuple | range):
        return [_plain(item) for item in value]
    return plain_number(value)
