"""Messages in the words of Python: `--batch-size 0` becomes `batch_size=0`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, wraps
from typing import Literal, ParamSpec, TypeVar, get_args, get_origin

from alexnet.config.options import FLAG_WORDS, option_types
from alexnet.config.recipe import SCRATCH, WEIGHT_WORDS, Recipe
from alexnet.errors import AlexNetError
from alexnet.interop.exporter import SUFFIXES
from alexnet.models.zoo import ABLATIONS, ZOO

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = {flag: option for option, flag in FLAG_WORDS.items()}
COMMAND = r"alexnet [a-z]+ [^;,`)]*"
"""A command of the shell keeps its flags."""
NUMBER = r"-?\d[\d.]*(?:e[+-]?\d+)?(?!\w)"
PATH = r"[\w~/-]*[./:][\w./:~-]*\w"


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function; its errors name keywords instead of the flags of the command line."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except AlexNetError as error:
            error.args = (python_text(str(error)),)
            raise

    return call


def python_text(message: str) -> str:
    """A message about flags as one about keywords; commands in it stay as they are."""
    return _pattern().sub(_keyword, message)


@cache
def _pattern() -> re.Pattern[str]:
    """Finds commands, and flags with the value that follows, if one does."""
    numbers = rf"(?P<numbers>{NUMBER}(?: {NUMBER})*)"
    word = rf"(?P<word>{PATH}|(?:{'|'.join(map(re.escape, sorted(_words())))})(?![\w-]))"
    other = r"(?P<other>'[^']*'|\([^)]*\)|[A-Z]+\b)"
    value = rf"(?: (?:{numbers}|{word}|{other}))?"
    return re.compile(rf"{COMMAND}|(?<![\w'/-])--(?P<flag>[a-z][\w-]*){value}")


def _words() -> set[str]:
    """The words that are values of options."""
    hints = [part for hint in option_types(Recipe).values() for part in (hint, *get_args(hint))]
    choices = [get_args(hint) for hint in hints if get_origin(hint) is Literal]
    texts = {text for words in choices for text in words if isinstance(text, str) and text}
    return {*texts, *ZOO, *ABLATIONS, *SUFFIXES, *WEIGHT_WORDS, SCRATCH, "cpu", "ema"}


def _keyword(found: re.Match[str]) -> str:
    """The keyword with its value, for a flag; a command as it is."""
    flag, numbers, word = found["flag"], found["numbers"], found["word"]
    if not flag:
        return found[0]
    name = OPTIONS.get(flag, flag.replace("-", "_"))
    if numbers and " " in numbers:
        return f"{name}=({numbers.replace(' ', ', ')})"
    value = repr(word) if word else numbers or found["other"] or ""
    return f"{name}={value}"
