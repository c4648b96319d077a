"""JSON from anywhere: any text is a value or an error of one sentence."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import (
    from_dict,
    json_document,
    json_document_parts,
    parse_json,
    to_dict,
)
from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import ZOO

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(sorted(to_dict(Recipe())))


def value_or_message(cls: type[Any], plain: object) -> Any:
    """The dataclass of some JSON, or the error message."""
    try:
        return from_dict(cls, plain)
    except ConfigError as error:
        return str(error)


@dataclass(frozen=True)
class Item:
    name: str
    value: float


@dataclass(frozen=True)
class Document:
    before: dict[str, int]
    items: tuple[Item, ...]
    after: dict[str, int]


@given(st.lists(st.lists(st.builds(Item, st.text(), st.floats())), min_size=1).filter(any))
def test_a_document_in_parts_is_the_whole(batches: list[list[Item]]) -> None:
    whole = Document({"a": 1}, tuple(chain(*batches)), {})
    parts = list(json_document_parts(replace(whole, items=()), batches))
    assert "".join(parts) == json_document(whole) + "\n"
    assert all(part == "" or part.endswith("\n") for part in parts)
    assert len(parts) == len(batches) + 1


@given(st.dictionaries(KEYS | st.text(max_size=3), JSON, max_size=4))
def test_any_json_is_a_recipe_or_one_sentence(plain: dict[str, Any]) -> None:
    recipe = value_or_message(Recipe, plain)
    if isinstance(recipe, str):
        assert 0 < len(recipe) < 1500
    else:
        assert from_dict(Recipe, to_dict(recipe)) == recipe


@given(st.data())
def test_any_change_of_an_architecture_is_one_or_one_sentence(data: st.DataObject) -> None:
    plain = to_dict(ZOO["lenet5"])
    row = data.draw(st.sampled_from(plain["layers"]))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(JSON)
    arch = value_or_message(Architecture, plain)
    if isinstance(arch, str):
        assert 0 < len(arch) < 1500
    else:
        assert from_dict(Architecture, json.loads(json.dumps(to_dict(arch)))) == arch


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_any_text_is_json_or_one_sentence(text: str | bytes) -> None:
    with suppress(ConfigError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "duplicate key 'a'"),
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', "duplicate key 'c'"),
        ("9223372036854775808", "'9223372036854775808' has more than 64 bits"),
        ("-9223372036854775809", "has more than 64 bits"),
        ("1" * 5000, "has more than 64 bits"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
    ],
)
def test_invalid_json(text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 300


def test_64_bit_integers_are_exact() -> None:
    assert parse_json("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


def test_many_keys_with_a_duplicate_are_rejected_fast() -> None:
    keys = [f"k{i}" for i in range(100_000)]
    began = time.perf_counter()
    with pytest.raises(ConfigError, match="duplicate key 'k99999'"):
        parse_json("{" + ",".join(f'"{key}":1' for key in [*keys, keys[-1]]) + "}")
    assert time.perf_counter() - began < 5
