"""Names that a package imports from its modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, modules: Mapping[str, str], packages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names are imported when first used.

    Args:
        package: the package's `__name__`.
        modules: from each public name to the module below the package that defines it.
        packages: folders of the package that are public names, too.

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

    return get, lambda: sorted([*modules, *packages])


def _unknown(package: str, name: str, known: list[str]) -> AttributeError:
    """The error for a name that is not there; only programs ask for names with underscores."""
    if name.startswith("_"):
        return AttributeError(f"module {package!r} has no attribute {name!r}")
    from alexnet.keywords import UnknownAttributeError

    return UnknownAttributeError(package, name, known)
