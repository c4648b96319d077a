"""The text of `--help` and `--help-all`, from the fields of a dataclass."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, replace
from typing import Any

from alexnet.cli.flag_list import Flag, list_flags
from alexnet.cli.help_pages import PAGES, HelpPage

HELP_WORDS = frozenset(("-h", "--help", "--help-all"))
MAX_COLUMNS = 100
INDENT = 24
"""The column at which the text of a flag begins."""


def help_text(
    cls: Any,
    words: Sequence[str],
    verb: str,
    default: object = None,
    description: str = "",
    own: object = None,
) -> str:
    """The help for `words`, which hold `--help` or `--help-all`.

    Args:
        cls: the dataclass of the flags.
        words: what was typed after the verb.
        verb: the verb with its action, as typed.
        default: an instance whose values are the defaults; those of `cls` unless given.
        description: the text above the flags; the docstring of `cls` unless given.
        own: an instance with the defaults for the user's own images, if they differ.
    """
    flags, page = _flags(cls, default, own), PAGES.get(verb, HelpPage())
    is_all = "--help-all" in words or not page.basic
    prose = description or inspect.cleandoc(cls.__doc__ or "")
    positionals = [flag for flag in flags if flag.is_positional]
    options = ["[OPTIONS]"] if len(flags) > len(positionals) else []
    parts = [
        " ".join(["usage: alexnet", verb, *_words(page, positionals), *options]),
        "\n\n".join(map(_fill, prose.split("\n\n"))),
        "\n".join(map(_entry, positionals)),
        *(_groups(flags) if is_all else [_basic(flags, page)]),
        _modes(page, flags),
        _examples(page, flags),
    ]
    if not is_all:
        count = len(flags) - len(positionals)
        parts.append(f"alexnet {verb} --help-all lists all {count} options.")
    return "\n\n".join(filter(None, parts))


def _flags(cls: Any, default: object, own: object) -> list[Flag]:
    """The flags of a dataclass, with the defaults of `own` for the user's own images."""
    flags = list(list_flags(cls, default))
    if own is None:
        return flags
    others = list(list_flags(cls, own))
    return [
        a if a.is_positional else replace(a, own_default=b.default)
        for a, b in zip(flags, others, strict=True)
    ]


def examples_text(examples: Iterable[tuple[str, str]]) -> str:
    """Format commands, each with a description beside or below it."""
    lines = [(f"  alexnet {command}", text) for command, text in examples]
    width = max((len(command) for command, _ in lines), default=0)
    if any(width + 2 + len(text) >= _columns() for _, text in lines):
        return "\n".join(f"{command}\n      {text}" for command, text in lines)
    return "\n".join(f"{command:<{width}}  {text}" for command, text in lines)


def _words(page: HelpPage, positionals: Sequence[Flag]) -> list[str]:
    return [word for word in (page.words, *(flag.metavar for flag in positionals)) if word]


def _basic(flags: Sequence[Flag], page: HelpPage) -> str:
    by_name = {flag.field: flag for flag in flags}
    return "\n".join(["options:", *(_entry(by_name[name]) for name in page.basic)])


def _groups(flags: Sequence[Flag]) -> Iterator[str]:
    """Yield the flags of each dataclass below its heading; a single group is called options."""
    named = [flag for flag in flags if not flag.is_positional]
    is_single = len({flag.group for flag in named}) == 1
    groups: dict[str, list[Flag]] = {}
    for flag in named:
        groups.setdefault("options" if is_single else flag.group.rstrip("."), []).append(flag)
    for group, members in groups.items():
        yield "\n".join([_fill(f"{group}:"), *map(_entry, members)])


def _modes(page: HelpPage, flags: Sequence[Flag]) -> str:
    """The list of the verb's other modes; "" in the help of one of these."""
    own = {name for flag in flags for name in flag.names}
    if not page.modes or any(mode.partition(" ")[0] in own for mode, _ in page.modes):
        return ""
    lines = (_columned(mode, text) for mode, text in page.modes)
    return "\n".join(["instead of that, each with options of its own (--help):", *lines])


def _examples(page: HelpPage, flags: Sequence[Flag]) -> str:
    """The examples of the mode that has the flags, or else of the verb."""
    own = {name for flag in flags for name in flag.names}
    modes = [lines for mode, lines in page.examples_of.items() if mode in own]
    examples = modes[0] if modes else page.examples
    return f"examples:\n{examples_text(examples)}" if examples else ""


def _entry(flag: Flag) -> str:
    """Format a flag and its text in two columns."""
    is_off = not flag.metavar and not flag.default
    names = flag.names[:1] if is_off else flag.names
    return _columned(" ".join([", ".join(names), flag.metavar]).strip(), _text(flag))


def _columned(words: str, text: str) -> str:
    """Put a text beside the words, or below them if they are too long."""
    left, text = f"  {words}", _fill(text, " " * INDENT)
    return f"{left}\n{text}" if len(left) > INDENT - 2 else left.ljust(INDENT) + text[INDENT:]


def _text(flag: Flag) -> str:
    """The flag's text with its default; None and booleans are put into words."""
    text = flag.help
    none = "unless given" if flag.default is None else "the word None"
    text = re.sub(r"\bNone: ", f"{none}: ", text)
    if flag.default is MISSING and not flag.is_positional:
        return f"{text} (required)"
    default = _default_text(flag.default)
    if flag.own_default not in (MISSING, flag.default):
        default = f"{default or 'none'}; own images: {_own_text(flag)}"
    return f"{text} (default: {default})" if default else text


def _own_text(flag: Flag) -> str:
    """The default for the user's own images; for None, what the flag's text says it means."""
    meaning = re.search(r"\bNone: ([^.;,]*)", flag.help)
    if flag.own_default is None and meaning:
        return meaning[1]
    return _default_text(flag.own_default) or "no"


def _default_text(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else ""
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return "" if default in (None, MISSING) else str(getattr(default, "name", default))


def _fill(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        _columns(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns() -> int:
    """The columns of the terminal, at most 100, minus one so that no line is wrapped."""
    return min(max(shutil.get_terminal_size().columns, INDENT + 30), MAX_COLUMNS) - 1
