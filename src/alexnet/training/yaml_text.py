"""YAML as plain values, read as YAML 1.2: `1e-3` is a number, and `no` and `off` are texts.

PyYAML follows YAML 1.1, where `1e-3` is a text, `no` is false, `010` is 8 and `1:30` is 90.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import yaml

from alexnet.config.serialization import parse_json
from alexnet.errors import ConfigError
from alexnet.io.text import short_repr

TAG = "tag:yaml.org,2002:"
"""Beginning of the tags of YAML itself."""
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.I)
INTEGER = re.compile(r"[-+]?[0-9]+")


class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Loads mappings, lists, texts, numbers, true, false and null; no aliases, no other tags."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        f"{TAG}{kind}": yaml.SafeLoader.yaml_constructors[f"{TAG}{kind}"]
        for kind in ("bool", "null", "str", "seq", "map")
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in PyYAML, but reject aliases: nested, they could mean more values than memory has."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            problem = f"the alias *{event.anchor} is not read; write its value"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As in PyYAML, but reject keys that are not texts or are there twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if not isinstance(key, str) or key in keys[:i]:
                problem = f"{'duplicate' if isinstance(key, str) else 'no text as'} key"
                mark = node.value[i][0].start_mark
                raise yaml.constructor.ConstructorError(
                    None, None, f"{problem} {short_repr(key)}", mark
                )
        values = [self.construct_object(value, deep=deep) for _, value in node.value]
        return dict(zip(keys, values, strict=True))

    def refuse_tag(self, node: yaml.Node) -> None:
        """Raise an error for a value with any other tag, which could run code elsewhere."""
        problem = f"the tag {node.tag.replace(TAG, '!!')} is not read; leave it out"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """An integer in decimal digits, or a float."""
        text: str = node.value
        if INTEGER.fullmatch(text):
            return int(text)
        return float(text.replace(".", "", 1) if text.lower().endswith(("inf", "nan")) else text)


for tag, pattern, first in (
    ("bool", re.compile("true|false", re.I), "tTfF"),
    ("null", re.compile("~|null|", re.I), ["~", "n", "N", ""]),
    ("float", NUMBER, "-+.0123456789"),
):
    PlainLoader.add_implicit_resolver(
        TAG + tag, re.compile(f"(?:{pattern.pattern})$", re.I), list(first)
    )
PlainLoader.add_constructor(f"{TAG}float", PlainLoader.construct_number)
PlainLoader.add_constructor(None, PlainLoader.refuse_tag)


def parse_yaml(text: bytes) -> Any:
    """Parse a YAML text, under the same limits as JSON.

    Raises:
        ConfigError: it is not YAML, has a duplicate key, an alias or a tag, or JSON could not hold
            it.
    """
    try:
        plain = yaml.load(text.decode("utf-8-sig"), PlainLoader)
        return parse_json(json.dumps(plain, default=str))
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {_problem(error)}") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).removeprefix("not JSON: ")
        raise ConfigError(f"not YAML: {reason[:200]}") from error


def _problem(error: yaml.YAMLError) -> str:
    """The problem, and the line in which it is."""
    mark = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())[:200]
    return f"{problem} in line {mark.line + 1}" if mark else problem
