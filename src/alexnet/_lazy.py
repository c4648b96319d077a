"""Import a package's public names from its modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn


def attach(
    package: str, modules: Mapping[str, str], packages: Collection[str] = (), *, called: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose public names are imported lazily.

    Args:
        package: the package's `__name__`.
        modules: for each public name the module below the package that defines it.
        packages: subpackages that are public names, too.
        called: what to say to a call of the package, as if it were a function; "" for Python's
            own message.

    Source: PEP 562.
    """

    def get(name: str) -> Any:
        if name in packages:
            return import_module(f"{package}.{name}")
        if name not in modules:
            raise _unknown(package, name, [*modules, *packages])
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    if called:
        sys.modules[package].__class__ = _refusing_calls(called)
    return get, lambda: sorted([*modules, *packages])


def _refusing_calls(called: str) -> type[ModuleType]:
    """The class of a package that looks like a function: a call of it raises UsageError."""

    class Package(ModuleType):
        def __call__(self, *_args: object, **_options: object) -> NoReturn:
            from alexnet.errors import UsageError

            raise UsageError(f"{self.__name__} is a module; {called}")

    return Package


def _unknown(package: str, name: str, known: list[str]) -> AttributeError:
    """The error for an unknown name; one with a leading underscore gets Python's own message."""
    if name.startswith("_"):
        return AttributeError(f"module {package!r} has no attribute {name!r}")
    from alexnet.keywords import UnknownAttributeError

    return UnknownAttributeError(package, name, known)
