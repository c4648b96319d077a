"""`--label-from`: a regular expression that finds the class in the name of an image file."""

from __future__ import annotations

import re

from alexnet.errors import ConfigError, require
from alexnet.io.text import short_repr

MAX_PATTERN_LENGTH = 200


def compile_label_pattern(text: str) -> re.Pattern[str]:
    """Compile the regular expression of `--label-from`.

    Raises:
        ConfigError: it is no text or no regular expression, has more than 200 characters, or has
            neither exactly one group nor one called `label`.
    """
    require(isinstance(text, str), f"--label-from must be a text, not {short_repr(text)}")
    shown = f"--label-from {text[:60]!r}"
    require(
        len(text) <= MAX_PATTERN_LENGTH, f"{shown} .. has more than {MAX_PATTERN_LENGTH} characters"
    )
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{shown} is no regular expression: {error}") from error
    require(
        pattern.groups == 1 or "label" in pattern.groupindex,
        f"{shown} has {pattern.groups} groups; put the part that is the class into parentheses, "
        "as in '^([a-z]+)', and call it (?P<label>..) if there are others",
    )
    return pattern


def find_label(pattern: re.Pattern[str], path: str) -> str:
    """Find the class in a relative path with forward slashes; "" if the pattern does not match.

    A pattern without a slash is searched in the file's name alone.
    """
    text = path if "/" in pattern.pattern else path.rpartition("/")[2]
    found = pattern.search(text)
    group = "label" if "label" in pattern.groupindex else 1
    return (found[group] or "").strip() if found else ""
