"""The public names of Python, package by package, from their docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import alexnet

HEAD = """# Python

`import alexnet` has what most programs need; it takes names, paths and objects, and shows progress.
The folders below it have the pieces: they take whole values and are silent.
[The guide](../../../guide.md#python) begins with examples, [your own loop](../../../own-loop.md)
uses the pieces."""
MEMBERS = {"Network": "intermediate_outputs", "PaperSGD": "step", "KerasAdam": "step"}
"""What is shown of classes that inherit much from torch."""
INHERITED_UP_TO = {"Classifier": "ABC"}
"""Classes that are shown with what they inherit from our own, and where others begin."""
HIDDEN_COLON = "\0"
ERRORS_HEAD = "# Errors\n\nAll are derived from `alexnet.AlexNetError`."


def pages() -> dict[str, str]:
    """A page for the package and for every public folder."""
    shown: dict[int, str] = {}
    packages = ["alexnet", *(f"alexnet.{name}" for name in sorted(_folders()))]
    texts = {f"api/{name}.md": _page(name, shown) for name in packages}
    rows = "\n".join(f"- [`{name}`]({name}.md): {_summary(name)}" for name in packages)
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *packages, "errors", "```"])
    return {
        "api/index.md": f"{HEAD}\n\n{rows}\n- [errors](errors.md)\n\n{toctree}\n",
        "api/errors.md": _errors(),
        **texts,
    }


def _folders() -> list[str]:
    return [name for name in dir(alexnet) if isinstance(getattr(alexnet, name), ModuleType)]


def _summary(name: str) -> str:
    return (import_module(name).__doc__ or "").partition("\n")[0]


def _page(name: str, shown: dict[int, str]) -> str:
    package = import_module(name)
    body = "\n\n".join(_entries(package, shown))
    return f"# {name}\n\n{_summary(name)}\n\n```{{eval-rst}}\n{body}\n```\n"


def _entries(package: ModuleType, shown: dict[int, str]) -> Iterator[str]:
    """A directive for every name; one that another page has already is a link to it."""
    for name in package.__all__:
        value, full = getattr(package, name), f"{package.__name__}.{name}"
        if _has_docstring(value) and id(value) in shown:
            yield f":py:obj:`{full} <{shown[id(value)]}>`: see :py:obj:`{shown[id(value)]}`."
        else:
            shown[id(value)] = full
            yield _directive(full, name, value)


def _has_docstring(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isroutine(value)


def _directive(full: str, name: str, value: Any) -> str:
    if inspect.isclass(value):
        options = f"   :members: {MEMBERS.get(name, '')}"
        if other := INHERITED_UP_TO.get(name):
            options += f"\n   :inherited-members: {other}"
        return f".. autoclass:: {full}\n{options}"
    if inspect.isroutine(value):
        return f".. autofunction:: {full}"
    lines = _text_of_value(full.rpartition(".")[0], name) or [f"A {type(value).__name__}."]
    return "\n".join([f".. py:data:: {full}", "", *(f"   {line}" for line in lines)])


def _text_of_value(package: str, name: str) -> list[str]:
    """The string under a constant, in the module that defines it."""
    source = inspect.getsource(import_module(package))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and name in [one.name for one in node.names]:
            texts = ModuleAnalyzer.for_module(str(node.module)).find_attr_docs()
            return texts.get(("", name), [])
    return []


def _errors() -> str:
    from alexnet import errors

    classes = [one for one in vars(errors).values() if inspect.isclass(one)]
    names = [one.__name__ for one in classes if issubclass(one, Exception)]
    body = "\n\n".join(f".. autoexception:: alexnet.errors.{name}" for name in names[1:])
    return f"{ERRORS_HEAD}\n\n```{{eval-rst}}\n{body}\n```\n"


def hide_colons(_app: Any, what: str, *args: Any) -> None:
    """Hide a field's colons from napoleon, which takes what is before one for a type."""
    if what == "attribute":
        args[-1][:] = [line.replace(":", HIDDEN_COLON) for line in args[-1]]


def show_colons(_app: Any, what: str, *args: Any) -> None:
    """Undo `hide_colons`."""
    if what == "attribute":
        args[-1][:] = [line.replace(HIDDEN_COLON, ":") for line in args[-1]]


def short_signature(_app: Any, function: Any, _is_method: bool) -> None:
    """Show the hundred options of a recipe, which the page of `train` has, as `**options`."""
    shown = getattr(function, "__signature__", None)
    if shown and any(one.default is ... for one in shown.parameters.values()):
        own = [one for one in shown.parameters.values() if one.default is not ...]
        options = inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)
        function.__signature__ = shown.replace(parameters=[*own, options])
