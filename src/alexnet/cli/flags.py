"""Parse flags into a dataclass by tyro; every error message is one sentence."""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import is_dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from alexnet.cli.flag_list import Flag, list_flags
from alexnet.cli.help import HELP_WORDS
from alexnet.cli.help import help_text as help_of
from alexnet.cli.help_pages import PAGES
from alexnet.cli.other_flags import check_other_flags
from alexnet.cli.parser_messages import (
    DASHED,
    dash_advice,
    parser_error,
    several_words_text,
)
from alexnet.config.architecture_file import named_or_own
from alexnet.config.options import FLAG_WORDS, SET_BY_PROGRAM
from alexnet.errors import NEAR, AlexNetError, UnknownNameError, UsageError
from alexnet.io.run_paths import find_run
from alexnet.models.architecture import Architecture

T = TypeVar("T")

REGISTRY = ConstructorRegistry()
PRINTING = ("--json", "--csv")
"""Switches that take a file name in other programs."""
SWITCH_WORDS = ("true", "false", "yes", "no", "on", "off")
"""What other programs take after a switch."""
NUMBERS: dict[Any, tuple[type[int] | type[float], str]] = {
    int: (int, "whole number"),
    int | None: (int, "whole number"),
    float: (float, "number"),
    float | None: (float, "number"),
}


def parse(
    cls: type[T],
    arguments: Sequence[str],
    verb: str,
    default: T | None = None,
    description: str = "",
    own: T | None = None,
    typed: Sequence[str] = (),
) -> T:
    """Parse flags into the dataclass `cls`; the defaults are the values of `default`.

    `--help` prints the basic flags and exits, `--help-all` all of them. Help also shows the values
    of `own`, the defaults for the user's own images, where they differ.

    Messages on unknown words look at the words that were `typed` after the verb, if some of them
    were parsed before and are not in `arguments`.

    Raises:
        UsageError: an unknown flag, or a value that does not parse or is out of range.
    """
    if not HELP_WORDS.isdisjoint(arguments):
        print(help_of(cls, arguments, verb, default, description, own))
        raise SystemExit(0)
    flags = list(list_flags(cls, default))
    check_other_flags(arguments, flags, verb)
    value, unknown = parse_known(cls, arguments, verb, default)
    if unknown:
        raise UsageError(_unknown_message(unknown[0], flags, verb, typed or arguments))
    return value


def with_run(flags: T, field: str) -> T:
    """Replace the name of a run in runs/ by its path, in one field of the flags.

    Raises:
        UsageError: there is no such run or file, but there is one with a similar name.
    """
    value = getattr(flags, field)
    found = find_run(value) if isinstance(value, str) else tuple(map(find_run, value))
    return replace(flags, **{field: found})  # type: ignore[type-var]


def parse_known(
    cls: type[T],
    arguments: Sequence[str],
    verb: str,
    default: T | None = None,
) -> tuple[T, list[str]]:
    """Like `parse`, but return arguments that are no flags of `cls` instead of raising an error."""
    # tyro draws its messages in plain ASCII when it does not write to a terminal.
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            return tyro.cli(
                cls,
                args=list(arguments),
                prog=f"alexnet {verb}",
                default=tyro.MISSING_NONPROP if default is None else default,
                return_unknown_args=True,
                add_help=False,
                config=(tyro.conf.OmitArgPrefixes,),
                registry=REGISTRY,
            )
    except SystemExit as stop:
        flags = list(list_flags(cls, default))
        raise _usage_error(stop, errors.getvalue(), flags, verb, arguments) from stop


def dispatch(
    arguments: Sequence[str],
    actions: Mapping[str, Callable[[Sequence[str]], int]],
    help_text: str,
    what: str,
) -> int:
    """Run the action that the first word names with the other words; without words print help.

    Raises:
        UnknownNameError: there is no such action; the message calls it `what`.
    """
    if not arguments or arguments[0] in HELP_WORDS:
        print(help_text)
        return 0
    action, *rest = arguments
    if action not in actions:
        raise UnknownNameError(what, action, actions)
    return actions[action](rest)


@REGISTRY.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Parse numbers like tyro, but with a plainer error message."""
    if info.type not in NUMBERS:
        return None
    kind, name = NUMBERS[info.type]
    is_optional = info.type is not kind

    def number(words: list[str]) -> int | float | None:
        if is_optional and words[0] == "None":
            return None
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"{words[0]!r} is not a {name}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=number,
        is_instance=lambda value: isinstance(value, kind) or (is_optional and value is None),
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _pair(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Parse two whole numbers, or None."""
    if info.type != tuple[int, int] | None:
        return None

    def pair(words: list[str]) -> tuple[int, int] | None:
        if words == ["None"]:
            return None
        try:
            first, second = map(int, words)
        except ValueError:
            raise ValueError(f"{' '.join(words)!r} is not two whole numbers, such as 2 9") from None
        return first, second

    return PrimitiveConstructorSpec(
        nargs=(1, 2),
        metavar="INT INT",
        instance_from_str=pair,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: list(map(str, value)) if value else ["None"],
    )


@REGISTRY.primitive_rule
def _architecture(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Parse the name of an architecture, or read the file of one."""
    if info.type != str | Architecture:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="STR",
        instance_from_str=lambda words: named_or_own(words[0]),
        is_instance=lambda value: isinstance(value, str | Architecture),
        str_from_instance=lambda value: [getattr(value, "name", value)],
    )


@REGISTRY.struct_rule
def _option_flags(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Parse a dataclass with fields whose flag is named differently, or that have no flag."""
    default = info.default
    if not is_dataclass(default) or type(default) is not info.type:
        return None
    hints = get_type_hints(info.type, include_extras=True)
    if hints.keys().isdisjoint([*FLAG_WORDS, *SET_BY_PROGRAM]):
        return None
    for option in FLAG_WORDS.keys() & hints.keys():
        hints[option] = Annotated[hints[option], tyro.conf.arg(name=FLAG_WORDS[option])]
    specs = (
        StructFieldSpec(name=name, type=hint, default=getattr(default, name))
        for name, hint in hints.items()
        if name not in SET_BY_PROGRAM
    )
    change = partial(replace, default)  # type: ignore[type-var]
    return StructConstructorSpec(instantiate=change, fields=tuple(specs))


def _usage_error(
    stop: SystemExit, message: str, flags: Sequence[Flag], verb: str, arguments: Sequence[str]
) -> Exception:
    """The error of this package if one ended tyro, else that of tyro's message."""
    cause: BaseException | None = stop
    while cause:
        if isinstance(cause, AlexNetError):
            return UsageError(str(cause))
        cause = cause.__context__
    return parser_error(message, flags, verb, arguments)


def _unknown_message(word: str, flags: Sequence[Flag], verb: str, arguments: Sequence[str]) -> str:
    """The message for an unknown flag or word."""
    flag = word.partition("=")[0]
    names, page = [name for one in flags for name in one.names], PAGES.get(verb)
    others = [mode.partition(" ")[0] for mode, _ in page.modes] if page else []
    if flag in others:
        used = next((w for w in (a.partition("=")[0] for a in arguments) if w in others), "")
        if used not in ("", flag):
            return f"{used} and {flag} exclude each other; choose one"
    similar = {one.lstrip("-"): one for one in (*names, *others)}
    close = difflib.get_close_matches(flag.lstrip("-"), similar, n=1, cutoff=NEAR)
    advice = f"did you mean {similar[close[0]]}?" if close else f"see alexnet {verb} --help"
    if DASHED.fullmatch(flag) and not close and not {".", "/"}.isdisjoint(flag):
        advice = dash_advice(word)
    if not word.startswith("-"):
        return _unknown_word_message(word, flags, verb, arguments, advice)
    return f"unknown flag {flag!r}; {advice}"


def _unknown_word_message(
    word: str, flags: Sequence[Flag], verb: str, arguments: Sequence[str], advice: str
) -> str:
    """The message for a word that is no flag; `advice` ends it unless there is a better one."""
    page, names = PAGES.get(verb), [name for one in flags for name in one.names]
    takes_first = bool(page and page.words)
    is_late = takes_first and arguments[0].startswith("-")
    if text := _too_many_values(word, flags, arguments, may_be_late=is_late):
        return text
    before = arguments[arguments.index(word) - 1] if word in arguments[1:] else ""
    if is_late:
        advice = f"the one data set or preset comes first: alexnet {verb} {word} .."
    elif before in PRINTING and before in names:
        advice = f"{before} prints, and > {word} writes that to the file"
    elif takes_first:
        return several_words_text(verb, (arguments[0], word))
    elif "--data" in names:
        advice = f"other images: --data {word}"
    return f"unknown word {word!r}; {advice}"


def _too_many_values(
    word: str, flags: Sequence[Flag], arguments: Sequence[str], *, may_be_late: bool
) -> str:
    """The message for a word after a flag that takes no value, or a number too many; else "".

    Args:
        word: the unknown word.
        flags: the flags of the verb.
        arguments: what was typed after the verb.
        may_be_late: whether a name after a switch may be the data set, which comes first.
    """
    switches = {name for one in flags if not one.metavar for name in one.names}
    one_value = {name for one in flags if " " not in one.metavar for name in one.names} - switches
    is_value = _is_number(word) or word.lower() in SWITCH_WORDS
    for place in (i for i, one in enumerate(arguments) if one == word):
        *_, flag, before = ("", "", *arguments[:place])
        if before in switches and before not in PRINTING and (is_value or not may_be_late):
            return f"{before} takes no value, not {word!r}"
        if flag in one_value and _is_number(word):
            return f"{flag} takes one value, not {before} {word}"
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
