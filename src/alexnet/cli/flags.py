"""Flags from dataclasses, by tyro; every mistake becomes one sentence."""

from __future__ import annotations

import difflib
import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TypeVar

import tyro

from alexnet.errors import UsageError

T = TypeVar("T")

PLAINER = (
    (r"^Error parsing (\S+): invalid literal for int.*: (.*)", r"\1 takes a whole number, not \2"),
    (r"^Error parsing (\S+): could not convert string.*: (.*)", r"\1 takes a number, not \2"),
    (r"^Missing value for argument '(.*?)'.*", r"\1 lacks its value"),
    (r"^Missing from alexnet .*?: (--\S+ \S+) .*", r"\1 is missing"),
    (r"^Missing from alexnet .*?: \S+ (.*?) \(required\).*", r"one word is missing: \1"),
)
"""tyro's messages, and how we say them."""


def parse(
    cls: type[T],
    arguments: Sequence[str],
    verb: str,
    default: T | None = None,
    description: str = "",
) -> T:
    """The dataclass `cls` from flags, beginning with the values of `default`.

    `--help` prints the flags and exits.

    Raises:
        UsageError: an unknown flag, or a value that does not parse or is out of range.
    """
    start = tyro.MISSING_NONPROP if default is None else default
    errors, output = io.StringIO(), io.StringIO()
    try:
        with redirect_stderr(errors), redirect_stdout(output):
            value: T = tyro.cli(
                cls,
                args=list(arguments),
                prog=f"alexnet {verb}",
                description=description or None,
                default=start,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            sys.stdout.write(output.getvalue())
            raise
        raise UsageError(_sentence(errors.getvalue(), verb)) from stop
    return value


def _sentence(box: str, verb: str) -> str:
    """The first paragraph of tyro's boxed message as one sentence, with the nearest flag."""
    lines = [re.sub(r"[│╭╮╰╯|+]", "", line).strip() for line in box.splitlines()[1:]]
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if set(line) <= set("─-"):
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    filled = [p for p in paragraphs if p]
    message = " ".join(filled[0]) if filled else "the flags cannot be read"
    message = re.sub(r"^Error parsing [\w.]+: (?=--)", "", message)
    for pattern, plain in PLAINER:
        message = re.sub(pattern, plain, message)
    suggested = [
        line.split(" ")[0]
        for p in filled[1:]
        for line in p
        if line.startswith("--") and "Perhaps" in box
    ]
    wrong = re.search(r"--[\w-]+", message)
    close = difflib.get_close_matches(wrong.group(), suggested, n=1, cutoff=0.0) if wrong else []
    return f"{message.rstrip('.')}; " + (
        f"did you mean {close[0]}?" if close else f"see alexnet {verb} --help"
    )
