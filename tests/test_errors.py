"""The tree of errors, the message that names the nearest names, and those of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from alexnet import errors
from alexnet.errors import (
    AlexNetError,
    ArchitectureError,
    ConfigError,
    DataError,
    DivergedError,
    MissingDataError,
    ModelFileError,
    ProcessLostError,
    TrainingError,
    UnknownNameError,
    UsageError,
    require_at_least,
    require_below_1,
    require_not_negative,
    require_within,
)

PARENTS: dict[type[Exception], tuple[type[Exception], ...]] = {
    AlexNetError: (Exception,),
    UsageError: (AlexNetError,),
    UnknownNameError: (UsageError,),
    ConfigError: (AlexNetError, ValueError),
    ArchitectureError: (ConfigError,),
    DataError: (AlexNetError,),
    MissingDataError: (DataError,),
    ModelFileError: (AlexNetError,),
    ProcessLostError: (AlexNetError,),
    TrainingError: (AlexNetError,),
    DivergedError: (TrainingError,),
}


@pytest.mark.parametrize(("error", "parents"), PARENTS.items())
def test_tree(error: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    assert error.__bases__ == parents
    assert error.__doc__


def test_no_error_is_forgotten() -> None:
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)}
    assert classes == set(PARENTS)


def drawn() -> dict[str, str]:
    """Class to parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    trail = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        bare = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        name = (bare.split() or [""])[0]
        if line.startswith("    ") and name.endswith("Error"):
            depth = (len(bare) - len(bare.lstrip())) // 4
            parents[name] = trail[depth - 1]
            trail = [*trail[:depth], name]
    return parents


def test_docstring_draws_the_tree() -> None:
    assert drawn() == {error.__name__: bases[0].__name__ for error, bases in PARENTS.items()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnte", "unknown net 'alexnte'; did you mean alexnet or lenet5?"),
        ("lenet", "unknown net 'lenet'; did you mean lenet5 or alexnet?"),
        ("zzz", "unknown net 'zzz'; known: alexnet, lenet5, vgg"),
        ("", "unknown net ''; known: alexnet, lenet5, vgg"),
    ],
)
def test_unknown_name(name: str, message: str) -> None:
    assert str(UnknownNameError("net", name, ["vgg", "lenet5", "alexnet"])) == message


def test_unknown_name_suggests_three_at_most() -> None:
    error = UnknownNameError("layer", "conv", [f"conv{i}" for i in range(9)])
    assert str(error).count(" or ") == 2


@dataclass
class Limit:
    a_b: float | None


@dataclass
class Number:
    a_b: float


@pytest.mark.parametrize(
    ("check", "allowed", "value", "message"),
    [
        (lambda options: require_not_negative(options, "a_b"), 0, -1, "must not be negative"),
        (lambda options: require_at_least(options, 2, "a_b"), 2, 1, "must be at least 2"),
        (lambda options: require_within(options, 0, 5, "a_b"), 5, 6, "must be from 0 to 5"),
        (lambda options: require_below_1(options, "a_b"), 0.0, 1.0, "must be from 0 to below 1"),
    ],
)
def test_a_number_out_of_its_range_is_named_with_its_flag(
    check: Callable[[object], None], allowed: float, value: float, message: str
) -> None:
    check(Limit(a_b=None))
    check(Limit(a_b=allowed))
    with pytest.raises(ConfigError, match=f"^--a-b {value} {message}$"):
        check(Limit(a_b=value))
    with pytest.raises(ConfigError, match=r"^--a-b None must be a number$"):
        check(Number(a_b=None))  # type: ignore[arg-type]


def test_very_long_words_are_shortened() -> None:
    error = UnknownNameError("preset", "x" * 5000, ["quickstart"])
    assert str(error) == f"unknown preset '{'x' * 99}...{'x' * 18}'; known: quickstart"
    path = "/folder" * 60
    assert str(DataError(f"{path} is empty")) == f"{path} is empty"
