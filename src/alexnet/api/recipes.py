"""From the words of a call to the recipe of a run, as the command line makes it from its words."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from alexnet.config.architecture_file import named_or_own
from alexnet.config.options import option_types, with_options
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.data.datasets.archive import is_archive_name
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.data.datasets.image_lists.source import is_list_name
from alexnet.errors import UnknownNameError, UsageError
from alexnet.models.zoo import ABLATIONS, ZOO

R = TypeVar("R", bound=BaseRecipe)
F = TypeVar("F", bound=Callable[..., Any])
Start: TypeAlias = "Recipe | str | os.PathLike[str]"
"""A recipe, the name of a preset, or data: a path, or the name of a data set."""

DEFAULT_PRESET = "quickstart"


def starting_recipe(start: Start, config: str | os.PathLike[str] = "") -> Recipe:
    """The recipe that a call begins with.

    Args:
        start: a recipe, the name of a preset, or data for the default preset; "" for that.
        config: JSON file of a recipe, which overrides values of `start`.

    Raises:
        UnknownNameError: the word is neither a preset nor data.
        UsageError: it is an architecture, or a value of another type.
    """
    recipe = start if isinstance(start, Recipe) else _recipe_of(start)
    if not config:
        return recipe
    from alexnet.training.run_folder import read_recipe

    return read_recipe(Path(config), recipe)


def _recipe_of(start: object) -> Recipe:
    if not isinstance(start, str | os.PathLike):
        raise UsageError(
            f"the first argument is a Recipe, the name of a preset, or the path of data; "
            f"not a {type(start).__name__}"
        )
    text, default = os.fspath(start), PRESETS[DEFAULT_PRESET]
    if isinstance(start, str) and text in ("", *PRESETS):
        return PRESETS[text or DEFAULT_PRESET]
    if isinstance(start, os.PathLike) or is_data(text):
        return name_after_data(replace(default, data=text), default)
    if text in {**ZOO, **ABLATIONS}:
        raise UsageError(f"{text!r} is an architecture; name it with arch={text!r}")
    raise UnknownNameError("preset (nor is it data)", text, [*PRESETS, *DATASETS])


def is_data(text: str) -> bool:
    """Whether a word means data: a data set's name, or a path that exists or looks like one."""
    path = Path(text).expanduser()
    looks_like_a_path = "/" in text or "\\" in text or text.startswith(("~", "."))
    return text in DATASETS or looks_like_a_path or path.exists() or _is_data_file(path)


def _is_data_file(path: Path) -> bool:
    return is_archive_name(path) or is_list_name(path)


def changed_recipe(start: R, options: Mapping[str, Any], others: tuple[str, ...]) -> R:
    """The recipe with other values; data of its own gives it the name of the run folder.

    Args:
        start: what the call begins with.
        options: values by the names of the flags, with underscores.
        others: the call's other keywords, for messages.

    Raises:
        UsageError: there is no such option, or its value is of the wrong type.
        ConfigError: a value is out of range.
    """
    arch = options.get("arch")
    own = {"arch": named_or_own(arch)} if isinstance(arch, str) else {}
    return name_after_data(with_options(start, {**options, **own}, others), start)


def name_after_data(recipe: R, start: R) -> R:
    """The recipe; it gets the name of its data if that has changed and the name has not."""
    if recipe.data == start.data or recipe.name != start.name:
        return recipe
    stem = Path(recipe.data).expanduser().resolve().stem
    return replace(recipe, name="".join(c if c.isalnum() or c in "-_" else "_" for c in stem))


def show_options(cls: type[BaseRecipe]) -> Callable[[F], F]:
    """Give a function with `**options` a signature with every option of a recipe, for editors."""

    def show(function: F) -> F:
        own = inspect.signature(function).parameters
        shown = [p for p in own.values() if p.kind is not p.VAR_KEYWORD]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=hint)
            for name, hint in option_types(cls).items()
            if name not in own
        ]
        function.__signature__ = inspect.Signature([*shown, *options])  # type: ignore[attr-defined]
        return function

    return show
