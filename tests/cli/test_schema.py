"""`schema`: every command with --json has a JSON Schema, strict and true of any value."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from alexnet.cli.completion import COMMANDS
from alexnet.cli.console import print_json
from alexnet.cli.flag_list import flag_names
from alexnet.cli.outputs import OUTPUTS
from alexnet.cli.outputs.json_schema import json_schema
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import FloatOrNaN, json_document
from alexnet.models.zoo import ZOO
from alexnet.pretraining.recipe import KINDS
from support.commands import Command
from support.json_outputs import command_of, command_with_output, validator
from support.slow import first_fast


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    """A part."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Everything that an output may be made of."""

    ratio: FloatOrNaN
    """How large."""
    count: int | None
    pair: tuple[int, str]
    parts: tuple[Inner, ...]
    part: Inner | None
    by_name: dict[str, float]


def output(**changes: Any) -> Output:
    values: dict[str, Any] = {
        "ratio": 1, "count": None, "pair": (1, "a"), "parts": (Inner(name="b"),), "part": None,
        "by_name": {"c": 2},
    }  # fmt: skip
    return Output(**values | changes)


def has_json(command: str) -> bool:
    """Whether a command has the flag."""
    module, _, name = COMMANDS[command].partition(":")
    cls = getattr(import_module(f"alexnet.cli.{module}"), name)
    kind = KINDS.get(command.rpartition(" ")[2])
    return "--json" in flag_names(cls, cls(recipe=kind()) if kind else None)


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {command for command in COMMANDS if has_json(command)}
    assert {command_of(name.split()) for name in OUTPUTS} == with_json
    assert [command_with_output([*name.split(), "--json"]) for name in OUTPUTS] == [*OUTPUTS]


@pytest.mark.parametrize("command", first_fast(OUTPUTS, fast=8))
def test_every_object_is_strict(command: str) -> None:
    schema = validator(command).schema
    Draft202012Validator.check_schema(schema)
    assert next(iter(schema["properties"])) == "schema"
    for one in (schema, *schema.get("$defs", {}).values()):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
        assert one["description"]


def test_the_command(command: Command) -> None:
    told = json.loads(command("schema", "data", "check").out)
    assert told["title"] == "alexnet data check --json"
    assert told["properties"]["num_images"] == {"type": "integer"}
    assert "With a fault" in told["$defs"]["FindingOutput"]["properties"]["is_fault"]["description"]
    assert command("schema").out.splitlines() == list(OUTPUTS)
    assert command("schema", "data", "chek").err == (
        "alexnet: unknown command with --json 'data chek'; "
        "did you mean data check or data show or data prepare?\n"
    )


@pytest.mark.parametrize(
    "value",
    [output(), output(ratio=float("nan")), output(count=3, part=Inner(name="d"), parts=())],
)
def test_what_is_printed_is_valid(value: Output, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(value)
    Draft202012Validator(json_schema(Output, "x")).validate(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": "1"}, {"count": 1.5}, {"pair": [1]}, {"pair": [1, "a", 2]}, {"parts": {}},
        {"parts": [{"name": "b", "more": 1}]}, {"part": {}}, {"by_name": {"c": None}},
        {"schema": 2}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_wrong_is_not(change: dict[str, Any]) -> None:
    facts = json.loads(json_document(output())) | change
    with pytest.raises(ValidationError):
        Draft202012Validator(json_schema(Output, "x")).validate(facts)
    assert {field.name for field in fields(Output)} <= facts.keys()


@pytest.mark.parametrize("name", ["lenet5", "alexnet_bn"])
def test_recipes_with_networks_of_any_layers_are_valid(name: str) -> None:
    facts = json.loads(json_document(Recipe(arch=ZOO[name])))
    Draft202012Validator(json_schema(Recipe, "x")).validate(facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """Has a type that JSON lacks."""

    part: complex


def test_a_type_without_a_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="has no JSON Schema"):
        json_schema(Unknown, "x")
