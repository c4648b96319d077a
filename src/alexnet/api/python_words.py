"""Make messages name keywords instead of flags: `--batch-size 0` becomes `batch_size=0`."""

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
from alexnet.runtime.signals import TrainingInterrupted

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = {flag: option for option, flag in FLAG_WORDS.items()}
PROGRAM = r"(?:alexnet [a-z]+|pip install|(?:torchrun|python|pip|xcode-select)(?= -))"
COMMAND = rf"\b{PROGRAM} [^;,`)]*"
"""Matches a shell command, whose flags stay; one that resumes a run becomes a call in Python."""
NUMBER = r"-?\d[\d.]*(?:e[+-]?\d+)?(?!\w)"
RESUME = (
    r"alexnet (?:train|pretrain (?P<kind>\w+)) --resume (?P<path>'[^']*'|\S+)"
    rf"(?P<options>(?: --[\w-]+ {NUMBER})*)"
)
PATH = r"[\w~/-]*[./:][\w./:~-]*\w"


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its errors name keywords instead of command-line flags."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (AlexNetError, TrainingInterrupted) as error:
            error.args = (python_text(str(error)),)
            raise

    return call


def python_text(message: str) -> str:
    """The message with keywords in place of flags; of commands, only those that resume change."""
    return _pattern().sub(_keyword, message)


@cache
def _pattern() -> re.Pattern[str]:
    """The pattern of a command, or of a flag and the value that follows it, if there is one."""
    numbers = rf"(?P<numbers>{NUMBER}(?: {NUMBER})*)"
    word = rf"(?P<word>{PATH}|(?:{'|'.join(map(re.escape, sorted(_words())))})(?![\w-]))"
    other = r"(?P<other>'[^']*'|\([\d., -]+\)|[A-Z]+\b)"
    value = rf"(?: (?:{numbers}|{word}|{other}))?"
    return re.compile(rf"{COMMAND}|(?<![\w'/-])--(?P<flag>[a-z][\w-]*){value}")


def _words() -> set[str]:
    """The texts that are values of options, which become Python strings."""
    hints = [part for hint in option_types(Recipe).values() for part in (hint, *get_args(hint))]
    choices = [get_args(hint) for hint in hints if get_origin(hint) is Literal]
    texts = {text for words in choices for text in words if isinstance(text, str) and text}
    return {
        *texts,
        *ZOO,
        *ABLATIONS,
        *SUFFIXES,
        *WEIGHT_WORDS,
        SCRATCH,
        "cpu",
        "cuda",
        "ema",
        "csv",
    }


def _keyword(found: re.Match[str]) -> str:
    """The replacement for a match: a keyword with its value; a command, or the call for it."""
    flag, numbers, word = found["flag"], found["numbers"], found["word"]
    if not flag:
        return _resume_call(found[0]) or found[0]
    name = OPTIONS.get(flag, flag.replace("-", "_"))
    if numbers and " " in numbers:
        return f"{name}=({numbers.replace(' ', ', ')})"
    value = repr(word) if word else numbers or found["other"] or ""
    return f"{name}={value}"


def _resume_call(command: str) -> str:
    """The call in Python for a command that resumes a run; "" for any other command."""
    if not (found := re.fullmatch(RESUME, command)):
        return ""
    function = "resume_pretraining" if found["kind"] else "resume"
    options = re.sub(r" --([\w-]+) (\S+)", _option, found["options"])
    path = found["path"].strip("'")
    return f"alexnet.{function}({path!r}{options})"


def _option(found: re.Match[str]) -> str:
    return f", {found[1].replace('-', '_')}={found[2]}"
