"""What a command printed with --json, checked against its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from jsonschema import Draft202012Validator

from alexnet.cli.completion import COMMANDS
from alexnet.cli.outputs import OUTPUTS, output_class
from alexnet.cli.outputs.json_schema import json_schema


def check_json(words: Sequence[str], out: str) -> None:
    """Check the output of a command with --json; its first key is the version of the schema."""
    command = command_with_output(words)
    facts = json.loads(out, parse_constant=_fail)
    assert next(iter(facts)) == "schema", f"alexnet {command} --json"
    validator(command).validate(facts)


def _fail(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@cache
def validator(command: str) -> Draft202012Validator:
    """Checks what a command of OUTPUTS prints."""
    return Draft202012Validator(json_schema(output_class(command), command))


def command_of(words: Sequence[str]) -> str:
    """The verb, with its action if it has one."""
    return next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)


def command_with_output(words: Sequence[str]) -> str:
    """The command of OUTPUTS that was run."""
    command = command_of(words)
    if command in ("train", "tune", "experiment run", "explain", "data mistakes"):
        trial = next((word for word in words[1:] if f"{command} {word}" in OUTPUTS), "")
        return f"{command} {trial}".strip()
    if command == "benchmark train" and "--devices" in words:
        return f"{command} --devices"
    if command == "summary":
        end = next(i for i, word in enumerate(words) if word.startswith("--"))
        tutorial = " --format tutorial" if "tutorial" in words else ""
        devices = " --devices" if "--devices" in words else ""
        return " ".join(["summary", *["NET"] * (end - 1)]) + tutorial + devices
    return command
