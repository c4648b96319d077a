"""Turn the messages of tyro, the parser of flags, into one sentence in this program's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING
from itertools import groupby, pairwise

from alexnet.cli.flag_list import Flag
from alexnet.errors import UnknownNameError, UsageError
from alexnet.other_names import answer_to_format

INVALID_CHOICE = re.compile(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of (.*)")
"""Matches a message about a value that is none of the choices."""
NO_VALUE = re.compile(r"Missing value for argument '(\S+)'\..*|Error parsing (\S+): '' is not .*")
NOT_PARSED = re.compile(r"Error parsing (\S+): (.*)")
REQUIRED = "Missing from alexnet "
"""How a message on required arguments that are missing begins."""
FIRST_CLAUSE = re.compile(r"[;:(]|\.(?:\s|$)")
"""Matches the end of the first clause of a help text."""
MAX_SHOWN_WORDS = 3
DASHED = re.compile(r"-[^-\d.].*", re.DOTALL)
"""Matches a word with one dash that is no number, so that it may be meant as a name."""


def parser_error(
    box: str, flags: Sequence[Flag], verb: str, words: Sequence[str]
) -> UsageError | UnknownNameError:
    """The error of a boxed message.

    Args:
        box: what tyro printed.
        flags: the flags of the verb.
        verb: the verb with its action, as typed.
        words: what was typed after the verb.
    """
    text = _first_paragraph(box).rstrip(" .")
    if found := INVALID_CHOICE.fullmatch(text):
        word, name, choices = found.groups()
        if verb == "export" and name == "--format" and (answer := answer_to_format(word)):
            return UsageError(answer)
        what = f"value of {name}" if name.startswith("-") else name
        return UnknownNameError(what, word, re.findall(r"'([^']*)'", choices), likeness=0.6)
    if text.startswith(REQUIRED):
        text = _required_text(_missing(box, flags), flags, verb)
    elif found := NO_VALUE.fullmatch(text):
        text = _no_value_text(found[1] or found[2], flags, verb, words)
    elif found := NOT_PARSED.fullmatch(text):
        name, problem = found.groups()
        text = f"{name}: {problem}"
        if problem.startswith("Could not find valid parse"):
            values = " ".join(re.findall(r"'([^']*)'", problem))
            text = f"{name} takes {_metavar(name, flags)}, not {values}"
    return UsageError(f"{text}; see alexnet {verb} --help")


def _metavar(name: str, flags: Sequence[Flag]) -> str:
    return next((flag.metavar for flag in flags if name in flag.names), "VALUE")


def _no_value_text(name: str, flags: Sequence[Flag], verb: str, words: Sequence[str]) -> str:
    """A sentence on a flag, or on the field of a positional argument, that has no value."""
    if positional := [flag for flag in flags if flag.is_positional and flag.field == name]:
        text = _required_text(positional, flags, verb)
        dashed = next(filter(DASHED.fullmatch, words), "")
        return f"{text}; {dash_advice(dashed)}" if dashed and not _is_choice(*positional) else text
    text = f"{name} needs a value: {name} {_metavar(name, flags)}"
    after = next((after for word, after in pairwise(words) if word == name), "")
    if DASHED.fullmatch(after):
        text += f"; a value that begins with - is written {name}={after}"
    return text


def dash_advice(word: str) -> str:
    """How a name that begins with a dash is written, so that it is no flag."""
    return f"a name that begins with - is written ./{word}"


def several_words_text(verb: str, words: Sequence[str]) -> str:
    """A sentence on several words where a verb takes one data set or preset."""
    more = len(words) - MAX_SHOWN_WORDS
    *first, last = [*words[:MAX_SHOWN_WORDS], *([f"{more:,} more"] if more > 0 else [])]
    return (
        f"{verb} takes one data set or preset, not {', '.join(first)} and {last}; "
        "the images of several go into one folder, or into one list of them"
    )


def _missing(box: str, flags: Sequence[Flag]) -> list[Flag]:
    """The required arguments that a message names; all of them if it names none."""
    lines = [line.strip("|│ ") for line in box.splitlines()]
    required = [flag for flag in flags if flag.default is MISSING]
    return [flag for flag in required if _usage(flag) in lines] or required


def _required_text(missing: Sequence[Flag], flags: Sequence[Flag], verb: str) -> str:
    """A sentence on required arguments that are missing, and how the command is written."""
    named = " and ".join(map(_usage, missing))
    if len(missing) == 1 and not _is_choice(*missing):
        text = FIRST_CLAUSE.split(missing[0].help)[0].strip()
        named += f", {text[:1].lower()}{text[1:]}" if text else ""
    first = [flag.metavar for flag in flags if flag.is_positional]
    required = [flag for flag in flags if flag.default is MISSING]
    others = [_usage(flag) for flag in required if not flag.is_positional]
    return f"{verb} needs {named}: {' '.join(['alexnet', verb, *first, *others])}"


def _is_choice(flag: Flag) -> bool:
    """Whether the placeholder lists the choices, which then need no description."""
    return flag.metavar.startswith("{")


def _usage(flag: Flag) -> str:
    return " ".join([*flag.names, flag.metavar])


def _first_paragraph(box: str) -> str:
    """The first text below the title of a boxed message; the whole message if there is none."""
    lines = [line.strip("|│ ") for line in box.splitlines()[1:]]
    groups = groupby(lines, lambda line: bool(line.strip("+-─╰╯")))
    return next((" ".join(text) for is_text, text in groups if is_text), box)
