"""Regular expressions that find the class in a file's name."""

from __future__ import annotations

import pytest

from alexnet.config.label_pattern import compile_label_pattern, find_label
from alexnet.config.recipe import DataOptions
from alexnet.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "path", "label"),
    [
        (r"^([a-z]+)\.", "train/cat.0.jpg", "cat"),
        (r"^(\d+)_c", "0001_c3s1.jpg", "0001"),
        (r"(?P<label>\w+)-(\d+)", "a/rose-12.jpg", "rose"),
        (r"([^/]+)/[^/]+$", "a/b/1.jpg", "b"),
        (r"^([^/]+)/", "a/b/1.jpg", "a"),
        (r"^([a-z]+)\.", "12.jpg", ""),
        (r"^\d(x)?", "1.jpg", ""),
        (r"^( *)", " 1.jpg", ""),
    ],
)
def test_the_group_is_the_class(pattern: str, path: str, label: str) -> None:
    assert find_label(compile_label_pattern(pattern), path) == label


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", r"--label-from '\(' is no regular expression: missing \)"),
        ("[a-z]+", r"has 0 groups; put the part that is the class into parentheses"),
        ("(a)(b)", "has 2 groups; .*call it"),
        ("(a)" + "b" * 200, "has more than 200 characters"),
        ("(a{99999999999999999999})", "is no regular expression"),
        ("(" * 99 + ")" * 99, "has 99 groups"),
        ("(?P<label>", "is no regular expression"),
    ],
)
def test_what_cannot_be_used_is_told_when_the_options_are_made(
    pattern: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        DataOptions(label_from=pattern)
    assert "\n" not in str(caught.value)
