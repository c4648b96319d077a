"""Answer flags of other programs (torchvision, timm, ultralytics) with those of this one."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.cli.flag_list import Flag
from alexnet.errors import UsageError
from alexnet.other_words import OTHER_WORDS, answer_to, note_on, option_for

SHELL_ANSWERS = {
    "json": "",
    "csv": "",
    **dict.fromkeys(
        ("optimized", "exact"),
        "alexnet predict is optimized unless --exact is given, and alexnet evaluate is exact "
        "unless --optimized is",
    ),
    **dict.fromkeys(
        ("dry_run", "fast_dev_run", "overfit_one_batch", "overfit_batches"),
        "alexnet train has --dry-run and --overfit-one-batch",
    ),
    "watch": "a running training is watched by: alexnet report RUN --watch",
    **dict.fromkeys(
        ("find_lr", "lr_find", "auto_lr_find", "lr_finder"),
        "alexnet train DATA --find-lr suggests a learning rate",
    ),
    **dict.fromkeys(
        ("verbose", "quiet", "progress", "enable_progress_bar", "disable_tqdm"),
        "progress goes to stderr, the result to stdout; 2> FILE takes the progress",
    ),
    **dict.fromkeys(
        ("callbacks", "cbs", "callback"),
        "in Python, reporter= of alexnet.train is called after steps and epochs",
    ),
}
"""Answers that are given in the shell only, or that differ from those in Python."""


def check_other_flags(words: Sequence[str], flags: Sequence[Flag], verb: str) -> None:
    """Check that no word is a flag of another program.

    Raises:
        UsageError: a word is one; the message names the flag of this program.
    """
    names = {name for flag in flags for name in flag.names}
    for word in (word.partition("=")[0] for word in words if word.startswith("-")):
        answer = explain_flag(word, flags, verb)
        if answer and word.replace("_", "-") not in names:
            raise UsageError(answer)


def explain_flag(word: str, flags: Sequence[Flag], verb: str) -> str:
    """A sentence on what to use in place of another program's flag; "" for any other flag.

    Args:
        word: the flag as typed, without its value.
        flags: the flags of the verb.
        verb: the verb with its action, as typed.
    """
    by_field = {flag.field: flag for flag in flags}
    name = word.lstrip("-").replace("-", "_").lower()
    option = name if name in by_field else option_for(name, by_field)
    if option and by_field[option].is_positional:
        words = " ".join(flag.metavar for flag in flags if flag.is_positional)
        return f"{word} is not a flag here; it is a word alone: alexnet {verb} {words}"
    if option:
        answer = f"use {by_field[option].names[0]}{note_on(name, option)}"
    elif "out" in (name, *OTHER_WORDS.get(name, ())):
        answer = f"the result goes to stdout; {'--csv > FILE' if 'csv' in by_field else '> FILE'}"
    else:
        answer = SHELL_ANSWERS.get(name, answer_to(name, by_field))
    return f"{word} is not a flag here; {answer}" if answer else ""
