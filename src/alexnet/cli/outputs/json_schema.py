"""The JSON Schema (draft 2020-12) of what `--json` prints, made from the types of a dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from alexnet.cli.flag_list import docstring_summary, field_texts
from alexnet.config.serialization import NAN_IS_NULL, SCHEMA_VERSION, field_types
from alexnet.models.layers import LAYER_TYPES, Layer

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    NoneType: "null",
}


def json_schema(cls: type, command: str) -> Schema:
    """The schema of the object that `print_json` prints of an instance of `cls`.

    Every key is required, others are forbidden, and null is allowed only where a value may be
    missing: where the type of the field says so.

    Args:
        cls: a dataclass; the types of its fields are known at run time.
        command: the command that prints the object, for the title.
    """
    definitions: dict[str, Schema] = {}
    own = _object(cls, definitions)
    version = {"const": SCHEMA_VERSION, "description": "The version of this format."}
    return {
        "$schema": DIALECT,
        "title": f"alexnet {command} --json",
        **own,
        "properties": {"schema": version, **own["properties"]},
        "required": ["schema", *own["required"]],
        **({"$defs": definitions} if definitions else {}),
    }


def _object(cls: type, definitions: dict[str, Schema]) -> Schema:
    """The schema of a dataclass; those of dataclasses in its fields go into `definitions`."""
    hints, texts = get_type_hints(cls, include_extras=True), field_texts(cls)
    kind = {"kind": {"const": cls.kind}} if issubclass(cls, Layer) else {}
    properties = {
        name: _described(_schema(hints[name], definitions), texts.get(name, ""))
        for name in field_types(cls)
    }
    return {
        "description": docstring_summary(cls),
        "type": "object",
        "properties": {**kind, **properties},
        "required": [*kind, *properties],
        "additionalProperties": False,
    }


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": " ".join(text.split())} if text else schema


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if hint in SCALARS:
        return {"type": SCALARS[hint]}
    if origin is Annotated:
        kinds = (args[0] | None) if NAN_IS_NULL in args else args[0]
        return _schema(kinds, definitions)
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, UnionType):
        return _union([_schema(kind, definitions) for kind in args])
    if origin is tuple:
        return _array(args, definitions)
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1], definitions)}
    return _reference(hint, definitions)


def _union(schemas: list[Schema]) -> Schema:
    """The schema of a union: a list of types if all are plain, else "anyOf"."""
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _array(args: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    """The schema of a tuple: of any length, or with a type for each item."""
    if len(args) == 2 and args[1] is Ellipsis:
        return {"type": "array", "items": _schema(args[0], definitions)}
    items = [_schema(kind, definitions) for kind in args]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}


def _reference(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """A reference to the definition of a dataclass; `Layer` is any of the layer types."""
    if hint is Layer:
        return {"anyOf": [_reference(kind, definitions) for kind in LAYER_TYPES.values()]}
    if not is_dataclass(hint):
        raise TypeError(f"{hint} has no JSON Schema")
    name = hint.__name__  # type: ignore[union-attr]
    if name not in definitions:
        definitions[name] = {}  # of a type that contains itself
        definitions[name] = _object(hint, definitions)  # type: ignore[arg-type]
    return {"$ref": f"#/$defs/{name}"}
