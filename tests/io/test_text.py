"""Names and shapes as text, on a terminal and in JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.serialization import json_text
from alexnet.io.text import error_text, is_file_name, printable, shape_text

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates included, which come from file names."""


@pytest.mark.parametrize(
    ("shape", "shown"), [((96, 55, 55), "96x55x55"), ((7,), "7"), ((), "scalar")]
)
def test_shape_text(shape: tuple[int, ...], shown: str) -> None:
    assert shape_text(shape) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (FileNotFoundError(2, "No such file or directory", "/a"), "No such file or directory"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError("x" * 1000), "x" * 300),
        (MemoryError(), "MemoryError"),
        ("a reason", "a reason"),
    ],
)
def test_error_text(error: Exception | str, shown: str) -> None:
    assert error_text(error) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 日本 😀", "plain ü 日本 😀"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x7f\x9b", "\\x1b[2J\\x7f\\x9b"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\u202eabc", "\\u202eabc"),
        ("می‌خواهم 👩‍👧", "می‌خواهم 👩‍👧"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY_TEXT)
def test_printable_text_is_one_line_of_utf8(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


@pytest.mark.slow
@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_json_holds_any_name(value: object) -> None:
    text = json_text(value)
    assert text.encode().decode() == text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [("rose", True), ("..a", True), (".", False), ("..", False), ("", False), ("a/b", False),
     ("/etc", False), ("a\0", False), ("a\nb", True)],
)  # fmt: skip
def test_is_file_name(name: str, is_valid: bool) -> None:
    assert is_file_name(name) is is_valid
