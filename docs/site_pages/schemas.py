"""What every command prints with --json: a table of its keys, and its JSON Schema as a file."""

from __future__ import annotations

from typing import Any

from alexnet.cli.outputs import OUTPUTS, output_class
from alexnet.cli.outputs.json_schema import json_schema
from alexnet.config.serialization import json_text
from site_pages.markdown import code, escape, slug, table

HEAD = """# JSON Schemas

What every command prints with `--json`, and the schema of it (draft 2020-12), as
`alexnet schema COMMAND` prints it.
[Examples and the rules that hold for all](../../json.md)."""


def pages() -> dict[str, str]:
    """The page, and a file for every schema."""
    schemas = {command: json_schema(output_class(command), command) for command in OUTPUTS}
    sections = [_section(command, schema) for command, schema in schemas.items()]
    files = {f"schemas/{slug(name)}.json": json_text(one) + "\n" for name, one in schemas.items()}
    return {"schemas.md": "\n\n".join([HEAD, *sections]) + "\n", **files}


def _section(command: str, schema: dict[str, Any]) -> str:
    rows = [
        (code(key), _type(one), escape(one.get("description", "")))
        for key, one in schema["properties"].items()
    ]
    file = f"{slug(command)}.json"
    text = f"{escape(schema['description'])} Schema: [{file}](schemas/{file})"
    return f"## alexnet {command}\n\n{text}\n\n{table(('key', 'type', 'meaning'), rows)}"


def _type(schema: dict[str, Any]) -> str:
    """The type of a key in a few words."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_type(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else {"array": "list"}.get(kind, kind)
