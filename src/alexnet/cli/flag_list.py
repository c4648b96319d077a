"""List the flags of a dataclass, with the texts that help and completion show."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from alexnet.config.options import SET_BY_PROGRAM, flag_name

METAVARS = {
    "config": "FILE",
    "log": "NAMES",
    "exclude": "ARM",
    "class_names": "FILE",
    "init_from": "SOURCE",
    "data_root": "FOLDER",
    "resume": "RUN",
    "label_from": "REGEX",
    "rand_augment": "N M",
    "freeze_up_to": "LAYER",
    "from_": "FOLDER",
    "keep": "FOLDER",
    "up_to": "LAYER",
    "out": "FILE",
}
"""Placeholders of string values in help; other fields have their own name in capitals."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A field that the command line sets, by a flag or a positional argument."""

    field: str
    """The name of the field in the dataclass."""
    group: str
    """The heading of its dataclass's flags."""
    help: str
    metavar: str
    """The placeholder of the value; "" for a flag without a value."""
    default: object
    """The default value; MISSING if a value must be given."""
    is_positional: bool
    own_default: object
    """The default for the user's own images; MISSING if the verb has none."""

    @property
    def names(self) -> list[str]:
        """The flag as typed; a switch has a second name that turns it off."""
        if self.is_positional:
            return []
        flag = flag_name(self.field)
        return [flag] if self.metavar else [flag, flag.replace("--", "--no-", 1)]


def list_flags(cls: Any, value: object = None) -> Iterator[Flag]:
    """Yield the flags of a dataclass and of those in its fields, without SET_BY_PROGRAM.

    Args:
        cls: the dataclass.
        value: an instance whose values are the defaults; the defaults of `cls` unless given.
    """
    cls = get_origin(cls) or cls
    hints, texts = get_type_hints(cls, include_extras=True), field_texts(cls)
    group = docstring_summary(cls)
    for field in (field for field in fields(cls) if field.name not in SET_BY_PROGRAM):
        default = _default(field) if value is None else getattr(value, field.name)
        hint = hints[field.name]
        if isinstance(hint, TypeVar) or is_dataclass(hint):
            known = default if is_dataclass(default) else None
            yield from list_flags(hint if is_dataclass(hint) else type(default), known)
        else:
            yield _flag(field.name, hint, group, texts.get(field.name, ""), default)


def flag_names(cls: Any, default: object = None) -> Iterator[str]:
    """Yield every flag as it is typed."""
    for flag in list_flags(cls, default):
        yield from flag.names


def _flag(name: str, hint: Any, group: str, text: str, default: object) -> Flag:
    annotations = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    kind = get_args(hint)[0] if annotations else hint
    own = [m for m in (getattr(note, "metavar", None) for note in annotations) if m]
    return Flag(
        field=name,
        group=group,
        help=" ".join(text.split()),
        metavar=own[0] if own else _metavar(name, kind),
        default=default,
        is_positional=tyro.conf.Positional in annotations,
        own_default=MISSING,
    )


def _metavar(name: str, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    if get_origin(kind) is tuple:
        return f"{_metavar(name, get_args(kind)[0])} ..."
    kinds = [one for one in get_args(kind) or (kind,) if one is not NoneType]
    numbers = {int: "N", float: "NUMBER", bool: ""}
    return numbers.get(kinds[0], METAVARS.get(name, name.upper()))


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def docstring_summary(cls: type) -> str:
    """The first paragraph of a class's docstring, as one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


@cache
def field_texts(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass and its base classes, by field."""
    texts: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if not is_dataclass(one):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                texts[field.target.id] = _string(text)
    return texts


def _string(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""
