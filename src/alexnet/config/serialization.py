"""Frozen dataclasses to and from JSON: exact both ways, unknown keys and wrong types refused."""

from __future__ import annotations

import difflib
import json
import reprlib
import types
from collections import Counter
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from alexnet.errors import ConfigError, require
from alexnet.io.text import LONE_SURROGATE
from alexnet.models.architecture import Architecture
from alexnet.models.layers import LAYER_KINDS, Layer

T = TypeVar("T")


def to_dict(value: object, hint: Any = None) -> Any:
    """The value as dicts, lists, strings and numbers; a layer carries its kind.

    A whole number where a float belongs becomes one, so that equal values give equal text.
    """
    if is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        plain = {name: to_dict(getattr(value, name), hint) for name, hint in hints.items()}
        return {"kind": value.kind, **plain} if isinstance(value, Layer) else plain
    if isinstance(value, tuple):
        kinds = get_args(hint)[:1] * len(value) if Ellipsis in get_args(hint) else get_args(hint)
        kinds = kinds if len(kinds) == len(value) else (None,) * len(value)
        return [to_dict(item, kind) for item, kind in zip(value, kinds, strict=True)]
    return float(value) if hint is float and isinstance(value, int) else value


def to_json(value: object, indent: int | None = 2) -> str:
    """`to_dict` as text."""
    return json_text(to_dict(value), indent)


def json_text(plain: object, indent: int | None = 2) -> str:
    """JSON that any encoding of Unicode can hold, whatever the names in it are."""
    text = json.dumps(plain, indent=indent, ensure_ascii=False)
    return LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ConfigError: it is not JSON, names a key twice, is nested too deep, or has a whole number
            of more than 64 bits.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {str(error)[:200]}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {short_repr(twice)} is there twice")
    return plain


def _whole(digits: str) -> int:
    """A whole number of at most 64 bits: arithmetic on longer ones may take any time."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"{short_repr(digits)} has more than 64 bits")
    return int(digits)


def short_repr(value: object) -> str:
    """A value as a message shows it: short, however large or deep it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 4, 120, 80, 40
    return short.repr(value)


def from_dict(cls: type[T], plain: object, where: str = "") -> T:
    """The frozen dataclass `cls` from what `to_dict` gave; absent keys keep their defaults.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a missing one, or a value of the
            wrong type.
    """
    name = where or cls.__name__
    if not isinstance(plain, dict):
        raise ConfigError(f"{name} must be an object, not {short_repr(plain)}")
    hints = _hints(cls)  # type: ignore[arg-type]
    for key in plain:
        if key not in hints:
            raise ConfigError(f"{name} has no key {short_repr(key)}{_nearest(key, hints)}")
    values = {key: _value(hints[key], item, f"{name}.{key}") for key, item in plain.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(
            f"{name}: {str(error).removeprefix(cls.__name__ + '.__init__() ')}"
        ) from error


def architecture_from_plain(plain: object) -> Architecture:
    """A table from what `to_dict` gave.

    Raises:
        ConfigError: an unknown layer kind or key, or a table that does not work.
    """
    return from_dict(Architecture, plain, "architecture")


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}  # type: ignore[arg-type]


def _nearest(key: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _value(hint: Any, item: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        known = get_args(hint)
        if not any(type(item) is type(choice) and item == choice for choice in known):
            raise ConfigError(
                f"{where} is {short_repr(item)}; it can be {', '.join(map(str, known))}"
            )
        return item
    if origin is tuple:
        return _tuple(get_args(hint), item, where)
    if hint is Layer:
        return _layer(item, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return from_dict(hint, item, where)
    return _scalar(hint, item, where)


def _tuple(args: tuple[Any, ...], item: Any, where: str) -> tuple[Any, ...]:
    is_open = len(args) == 2 and args[1] is Ellipsis
    if not isinstance(item, list) or not (is_open or len(item) == len(args)):
        raise ConfigError(
            f"{where} must be a list{'' if is_open else f' of {len(args)}'}, not {short_repr(item)}"
        )
    kinds = [args[0]] * len(item) if is_open else args
    return tuple(
        _value(kind, part, f"{where}[{i}]")
        for i, (kind, part) in enumerate(zip(kinds, item, strict=True))
    )


def _layer(item: Any, where: str) -> Layer:
    kind = item.get("kind") if isinstance(item, dict) else None
    if not isinstance(kind, str) or kind not in LAYER_KINDS:
        raise ConfigError(
            f"{where} has the unknown layer kind {short_repr(kind)}; "
            f"known: {', '.join(LAYER_KINDS)}"
        )
    return from_dict(LAYER_KINDS[kind], {k: v for k, v in item.items() if k != "kind"}, where)


def _scalar(hint: Any, item: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        raise TypeError(f"{where}: unions are not used in recipes")
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        require(abs(item) < 1e300, f"{where} is too large")
        return float(item)
    if not isinstance(item, hint) or (isinstance(item, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {hint.__name__}, not {short_repr(item)}")
    return item
