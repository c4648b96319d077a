"""The search space of a tuning: options of a recipe, each in a range or among choices.

This module needs no Optuna. It has the default space of a recipe, reads spaces from files, and
changes a recipe by values of a space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, get_args

from alexnet.config.options import FLAG_WORDS, flag_name, option_types, with_options
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import flag_text, option_values
from alexnet.errors import ConfigError, UsageError, require
from alexnet.keywords import unknown_keyword
from alexnet.models.layers import Conv, Dropout
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.training.config_file import read_config

LR_FACTOR = 10.0
"""The default space's learning rates and weight decays differ from the recipe's by this factor."""
DIGITS = 3
"""Significant digits of a value, so that the winning command can be read."""
FIXED = (
    "name", "data", "data_root", "device", "seed", "label_from", "split", "test_fraction",
    "val_fraction", "split_seed", "test_per_class", "max_rejected_fraction", "patience",
    "target_train_error", "max_minutes", "init_from", "arch", "devices", "parallel",
    "exchange", "save_every_minutes", "save_every_steps", "keep_checkpoints", "keep_state",
)  # fmt: skip
"""Options that are not tuned: the images, the device, what ends a run early, what is kept."""
KEYS = ({"low", "high"}, {"low", "high", "log"}, {"choices"})
"""The sets of keys that the table of an option in a file may have."""

Value: TypeAlias = "str | int | float | bool"
Values: TypeAlias = Mapping[str, Any]
"""The values of the options of a space, by option."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """An option that is varied, in a range or among choices."""

    option: str
    """Its name in Python, such as "lr"."""
    low: float | None = None
    """The lower end of a range; null for choices."""
    high: float | None = None
    log: bool = False
    """Whether values are sampled uniformly on a logarithmic scale."""
    is_whole: bool = False
    """Whether only whole numbers are taken."""
    choices: tuple[Any, ...] = ()
    """The choices as in a recipe's JSON; none for a range."""

    @property
    def flag(self) -> str:
        """Its flag, such as --lr."""
        return flag_name(self.option)

    @property
    def codes(self) -> tuple[Value, ...]:
        """The choices as scalars, which a study can keep; lists as JSON."""
        return tuple(json.dumps(c) if isinstance(c, list) else c for c in self.choices)

    def value(self, code: Value) -> Any:
        """The option's value for a value in the study; numbers are rounded to DIGITS digits."""
        if self.choices:
            return self.choices[self.codes.index(code)]
        assert self.low is not None
        assert self.high is not None
        if self.is_whole:
            return int(code)
        return min(max(rounded(float(code)), self.low), self.high)

    def nearest(self, value: Any) -> Value:
        """The study's value for a value of the recipe, or for the nearest one in the space."""
        if self.choices:
            codes = self.codes
            return codes[self.choices.index(value)] if value in self.choices else codes[0]
        assert self.low is not None
        assert self.high is not None
        number = self.low if value is None else min(max(value, self.low), self.high)
        return int(number) if self.is_whole else float(number)

    def text(self) -> str:
        """The range or the choices as text for the user."""
        if self.choices:
            return ", ".join(flag_text(choice) for choice in self.choices)
        return f"{self.low:g} to {self.high:g}{', logarithmic' if self.log else ''}"


Space: TypeAlias = tuple[Parameter, ...]


def rounded(number: float) -> float:
    """Round a number to DIGITS significant digits."""
    return float(f"{number:.{DIGITS}g}")


def default_space(recipe: Recipe) -> Space:
    """The options that matter most for a recipe, around its own values.

    An option is varied only if the recipe uses it: dropout if the network has dropout layers,
    CutMix if the recipe has it, and so on. Batch size and epochs are not, since they change how
    long a trial takes.
    """
    return tuple(_default_parameters(recipe))


def _default_parameters(recipe: Recipe) -> Iterator[Parameter]:
    lr, decay, augment = recipe.optimizer.lr, recipe.optimizer.weight_decay, recipe.augment
    yield _around("lr", lr)
    if decay:
        yield _around("weight_decay", decay)
    if dropout_of(recipe):
        yield Parameter(option="dropout", low=0.1, high=0.8)
    if recipe.label_smoothing:
        yield Parameter(option="label_smoothing", low=0.0, high=0.3)
    if augment.min_scale < 1:
        yield Parameter(option="min_scale", low=0.1, high=1.0)
    if augment.cutmix:
        yield Parameter(option="cutmix", low=0.0, high=1.0)
    if augment.mixup:
        yield Parameter(option="mixup", low=0.0, high=1.0)
    if augment.rotation:
        yield Parameter(option="rotation", low=0.0, high=min(180.0, 2 * augment.rotation))
    if recipe.is_frozen(0) and recipe.unfreeze_after_epoch is None and not recipe.is_from_scratch:
        yield Parameter(option="freeze_up_to", choices=_freezing(recipe))


def _around(option: str, value: float) -> Parameter:
    low, high = rounded(value / LR_FACTOR), rounded(value * LR_FACTOR)
    return Parameter(option=option, low=low, high=high, log=True)


def dropout_of(recipe: Recipe) -> float:
    """The probability of the first dropout layer of the recipe's network; 0 without one."""
    layers = variant(architecture(recipe.arch), recipe.model).layers
    return next((layer.p for layer in layers if isinstance(layer, Dropout)), 0.0)


def _freezing(recipe: Recipe) -> tuple[str, ...]:
    """The choices of `freeze_up_to`: no layer, as in the recipe, or up to the last convolution."""
    layers = architecture(recipe.arch).layers
    last = [layer.name for layer in layers if isinstance(layer, Conv)][-1]
    return tuple(dict.fromkeys(("", recipe.freeze_up_to, last)))


def read_space(path: Path, recipe: Recipe) -> Space:
    """Read the space in a TOML, JSON or YAML file: `lr = {low = 1e-4, high = 1e-2, log = true}`.

    Args:
        path: the file. Options are named like the recipe's flags; each has the ends of a range
            (`low`, `high`, and `log` for a logarithmic scale) or `choices`.
        recipe: the recipe that is tuned, with which every value must work.

    Raises:
        UsageError: there is no such file, or an option is unknown or cannot be tuned.
        ConfigError: the file is not TOML, JSON or YAML, or values do not fit their option.
    """
    plain = read_config(path)
    if not isinstance(plain, dict) or not plain:
        raise ConfigError(f"{path} has no options; one is lr = {{low = 1e-4, high = 1e-2}}")
    space = tuple(_parameter(name, table) for name, table in plain.items())
    for parameter in space:
        _check_values(parameter, recipe)
    return space


def _parameter(name: str, table: Any) -> Parameter:
    types = option_types(Recipe)
    words = {flag_name(option)[2:]: option for option in types}
    option = words.get(name.replace("_", "-").lstrip("-"), name)
    if option not in types:
        word, known = name.replace("-", "_"), [FLAG_WORDS.get(one, one) for one in types]
        raise unknown_keyword(word, known, "option to tune")
    if option in FIXED:
        raise UsageError(
            f"{flag_name(option)} is not tuned, since trials would not be comparable; give it as "
            "a flag"
        )
    if not isinstance(table, dict) or set(table) not in KEYS:
        raise ConfigError(
            f"{name} must be {{low = .., high = ..}}, perhaps with log = true, or {{choices = "
            "[..]}}"
        )
    return _choices(option, table["choices"]) if "choices" in table else _range(option, table)


def _choices(option: str, choices: Any) -> Parameter:
    is_list = isinstance(choices, list) and len(choices) > 1
    require(is_list, f"{flag_name(option)} must have a list of two choices or more")
    parameter = Parameter(option=option, choices=tuple(choices))
    is_unique = len(set(map(repr, parameter.codes))) == len(choices)
    require(is_unique, f"{flag_name(option)} has a choice twice")
    return parameter


def _range(option: str, table: Mapping[str, Any]) -> Parameter:
    flag, kinds = flag_name(option), _kinds(option)
    low, high, log = table["low"], table["high"], table.get("log", False)
    are_numbers = all(type(end) in (int, float) for end in (low, high))
    is_number = are_numbers and isinstance(log, bool) and kinds & {int, float}
    require(bool(is_number), f"{flag} must have a number as low and as high, or choices")
    require(low < high, f"{flag}: low {low:g} must be below high {high:g}")
    require(not log or low > 0, f"{flag}: low {low:g} must be above 0 where log is true")
    is_whole = float not in kinds
    are_whole = not is_whole or (float(low).is_integer() and float(high).is_integer())
    require(are_whole, f"{flag} takes whole numbers, so low and high must be some")
    return Parameter(option=option, low=float(low), high=float(high), log=log, is_whole=is_whole)


def _kinds(option: str) -> set[Any]:
    """The types that an option's value may have, but None."""
    hint = option_types(Recipe)[option]
    return (set(get_args(hint)) or {hint}) - {NoneType}


def _check_values(parameter: Parameter, recipe: Recipe) -> None:
    """Check that the recipe takes every value; its own error is raised if not."""
    ends = (parameter.low, parameter.high)
    for value in parameter.choices or ends:
        code = parameter.codes[parameter.choices.index(value)] if parameter.choices else value
        recipe_with(recipe, {parameter.option: parameter.value(code)})


def recipe_with(recipe: Recipe, values: Values) -> Recipe:
    """Change a recipe by the values of a trial.

    Raises:
        ConfigError: the values do not fit each other.
        UsageError: a value has the wrong type.
    """
    return with_options(recipe, values)


def own_values(recipe: Recipe, space: Sequence[Parameter]) -> dict[str, Any]:
    """The recipe's own values of a space's options; None for `dropout` becomes its network's."""
    values = option_values(recipe)
    own = {parameter.option: values[parameter.option] for parameter in space}
    if own.get("dropout", 0) is None:
        own["dropout"] = dropout_of(recipe)
    return own
