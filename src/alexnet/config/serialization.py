"""Convert frozen dataclasses to and from JSON exactly; unknown keys and wrong types are errors."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from alexnet.errors import NEAR, ConfigError, nearest_words, require
from alexnet.io.text import LONE_SURROGATE, short_repr
from alexnet.models.field_checks import plain_number
from alexnet.models.layers import LAYER_TYPES, Layer

T = TypeVar("T")

YES_OR_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""Spellings of true and false, such as YAML's, that messages correct."""
SCHEMA_VERSION = 1
"""Version of the JSON that commands print, raised by a change that breaks its readers."""
NAN_IS_NULL = "null if it is not finite"
FloatOrNaN: TypeAlias = Annotated[float, NAN_IS_NULL]
"""A number that may be NaN or infinite, which is null in JSON."""


def to_dict(value: object, hint: Any = None) -> Any:
    """Convert a value to dicts, lists, strings, numbers and None; a layer also gets its `kind`.

    An integer in a float field becomes a float, so that equal values give equal text; numbers of
    numpy become those of Python.
    """
    if is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        plain = {name: to_dict(getattr(value, name), hint) for name, hint in hints.items()}
        return {"kind": value.kind, **plain} if isinstance(value, Layer) else plain
    if isinstance(value, tuple):
        args = get_args(_without_none(hint))
        kinds = args[:1] * len(value) if Ellipsis in args else args
        kinds = kinds if len(kinds) == len(value) else (None,) * len(value)
        return [to_dict(item, kind) for item, kind in zip(value, kinds, strict=True)]
    if isinstance(value, Mapping):
        kind = (get_args(hint) or (None, None))[1]
        return {name: to_dict(item, kind) for name, item in value.items()}
    value = plain_number(value)
    return float(value) if isinstance(value, int) and _without_none(hint) is float else value


def to_json(value: object, indent: int | None = 2) -> str:
    """The JSON text of `to_dict(value)`."""
    return json_text(to_dict(value), indent)


def json_text(plain: object, indent: int | None = 2) -> str:
    """JSON text that UTF-8 can encode, even if names in it are not valid Unicode."""
    text = json.dumps(plain, indent=indent, ensure_ascii=False)
    return LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_rows(plain: object, depth: int = 0) -> str:
    """JSON text in which each item of a list of objects or lists is on a line of its own.

    A list of numbers and strings is on one line.
    """
    if isinstance(plain, dict) and plain:
        rows = [f"{json_text(key)}: {json_rows(item, depth + 1)}" for key, item in plain.items()]
        start, end = "{}"
    elif isinstance(plain, list) and any(isinstance(item, list | dict) for item in plain):
        rows = [json_text(item, indent=None) for item in plain]
        start, end = "[]"
    else:
        return json_text(plain, indent=None)
    outer = "\n" + "  " * depth
    return f"{start}{outer}  " + f",{outer}  ".join(rows) + f"{outer}{end}"


def json_document(value: object) -> str:
    """A dataclass as the JSON that commands print: the version of its schema, then the fields.

    Numbers that are not finite, which JSON does not have, are null.
    """
    return json_rows({"schema": SCHEMA_VERSION, **_with_null_for_nan(to_dict(value))})


def json_document_parts(value: object, batches: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the text of `json_document` in parts, as the items of its list arrive.

    Every part ends with a whole line. The last item of a batch is in the next part, when it is
    known whether a comma follows it.

    Args:
        value: a dataclass, whose first list is empty and gets the items.
        batches: the items, which are dataclasses; at least one batch.
    """
    start, end = json_document(value).split("[]", 1)
    start, held = f"{start}[\n", list[str]()
    for batch in batches:
        plain = (_with_null_for_nan(to_dict(item)) for item in batch)
        rows = held + [f"    {json_text(row, indent=None)}" for row in plain]
        held = rows[-1:]
        yield start + "".join(f"{row},\n" for row in rows[:-1])
        start = ""
    yield f"{''.join(held)}\n  ]{end}\n"


def _with_null_for_nan(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _with_null_for_nan(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_with_null_for_nan(item) for item in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ConfigError: it is not JSON, has a duplicate key, is nested too deep, or has an integer of
            more than 64 bits.
    """
    try:
        return json.loads(text, object_pairs_hook=_no_duplicate_keys, parse_int=_int64)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {str(error)[:200]}") from error


def parse_toml(text: bytes) -> Any:
    """Parse a TOML text, with the limits of `parse_json`; dates and times become strings.

    Raises:
        ConfigError: it is not TOML, or JSON could not hold it.
    """
    try:
        return parse_json(json.dumps(tomllib.loads(text.decode("utf-8")), default=str))
    except (ValueError, RecursionError) as error:
        reason = str(error).removeprefix("not JSON: ")
        raise ConfigError(f"not TOML: {reason[:200]}") from error


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        duplicate = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"duplicate key {short_repr(duplicate)}")
    return plain


def _int64(digits: str) -> int:
    """Parse an integer of at most 64 bits; ValueError for longer ones, which could be slow."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"{short_repr(digits)} has more than 64 bits")
    return int(digits)


class UnknownKeyError(ConfigError):
    """A key that is not a field of the dataclass."""


def own_file_error(error: Exception) -> str:
    """The message for a damaged file of this program; an unknown key may be an older version's."""
    may_be_older = isinstance(error, UnknownKeyError)
    return f"{error}{' (an older version of alexnet may have written it)' if may_be_older else ''}"


def from_dict(cls: type[T], plain: object, where: str = "") -> T:
    """Make the frozen dataclass `cls` from the output of `to_dict`; absent keys get the defaults.

    Args:
        cls: the dataclass.
        plain: its fields by name.
        where: what messages call `plain`; the name of `cls` unless given.

    Raises:
        UnknownKeyError: an unknown key; the message suggests the nearest one.
        ConfigError: a missing key, or a value of the wrong type.
    """
    name = where or cls.__name__
    if not isinstance(plain, dict):
        raise ConfigError(f"{name} must be an object, not {short_repr(plain)}")
    hints = _hints(cls)  # type: ignore[arg-type]
    for key in plain:
        if key not in hints:
            raise UnknownKeyError(f"{name} has no key {short_repr(key)}{_nearest(key, hints)}")
    values = {key: parse_value(hints[key], item, f"{name}.{key}") for key, item in plain.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(
            f"{name}: {str(error).removeprefix(cls.__name__ + '.__init__() ')}"
        ) from error


def field_types(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields by name, in their order."""
    return _hints(cls)


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}  # type: ignore[arg-type]


def _nearest(key: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=NEAR)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _without_none(hint: Any) -> Any:
    """`X` for the type hint `X | None`; every other hint as it is."""
    kinds = _alternatives(hint)
    return kinds[0] if len(kinds) == 1 else hint


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union without None; a hint that is no union, as a tuple of one."""
    if get_origin(hint) not in (Union, UnionType):
        return (hint,)
    return tuple(kind for kind in get_args(hint) if kind is not NoneType)


def parse_value(hint: Any, item: Any, where: str) -> Any:
    """Convert `item`, an output of `to_dict`, to the type `hint`; messages call it `where`.

    Raises:
        ConfigError: `item` is of another type.
    """
    kinds = _alternatives(hint)
    if kinds[0] is not hint:
        if item is None and NoneType in get_args(hint):
            return None
        if len(kinds) > 1 and not isinstance(item, str | dict):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{where} must be {names}, not {short_repr(item)}")
        is_object = isinstance(item, dict)
        kind = next((kind for kind in kinds if is_dataclass(kind) == is_object), kinds[0])
        return parse_value(kind, item, where)
    origin = get_origin(hint)
    if origin is Literal:
        known = get_args(hint)
        if not any(type(item) is type(choice) and item == choice for choice in known):
            close = nearest_words(str(item).lower(), list(map(str, known)))
            raise ConfigError(
                f"{where} is {short_repr(item)}; it can be {', '.join(map(str, known))}"
                f"{f'; did you mean {close[0]}?' if close else ''}"
            )
        return item
    if origin is tuple:
        return _tuple(get_args(hint), item, where)
    if origin is dict:
        return _mapping(get_args(hint)[1], item, where)
    if hint is Layer:
        return _layer(item, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return from_dict(hint, item, where)
    return _scalar(hint, item, where)


def _tuple(args: tuple[Any, ...], item: Any, where: str) -> tuple[Any, ...]:
    any_length = len(args) == 2 and args[1] is Ellipsis
    if not isinstance(item, list) or not (any_length or len(item) == len(args)):
        length = "" if any_length else f" of {len(args)}"
        raise ConfigError(f"{where} must be a list{length}, not {short_repr(item)}")
    kinds = [args[0]] * len(item) if any_length else args
    return tuple(
        parse_value(kind, part, f"{where}[{i}]")
        for i, (kind, part) in enumerate(zip(kinds, item, strict=True))
    )


def _mapping(kind: Any, item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ConfigError(f"{where} must be an object, not {short_repr(item)}")
    return {key: parse_value(kind, part, f"{where}.{key}") for key, part in item.items()}


def _layer(item: Any, where: str) -> Layer:
    kind = item.get("kind") if isinstance(item, dict) else None
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        raise ConfigError(
            f"{where} has the unknown layer kind {short_repr(kind)}; "
            f"known: {', '.join(LAYER_TYPES)}"
        )
    return from_dict(LAYER_TYPES[kind], {k: v for k, v in item.items() if k != "kind"}, where)


def _scalar(hint: Any, item: Any, where: str) -> Any:
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        require(abs(item) < 1e300, f"{where} is too large")
        return float(item)
    if not isinstance(item, hint) or (isinstance(item, bool) and hint is not bool):
        word = YES_OR_NO.get(str(item).lower(), "") if hint is bool else ""
        advice = f"; write {word}" if word else ""
        if where.rpartition(".")[2] == "device" and isinstance(item, int):
            advice = f"; a GPU is --device cuda:{int(item)}"
        raise ConfigError(f"{where} must be {hint.__name__}, not {short_repr(item)}{advice}")
    return item
