"""`alexnet schema COMMAND`: the JSON Schema of what a command prints with `--json`."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.cli.help import HELP_WORDS
from alexnet.cli.outputs import OUTPUTS, output_class
from alexnet.cli.outputs.json_schema import json_schema
from alexnet.config.serialization import json_text
from alexnet.errors import UnknownNameError

HELP = """usage: alexnet schema [COMMAND]

Print the JSON Schema (draft 2020-12) of what a command prints with --json;
without a command, the commands that have one.

  alexnet schema train            of alexnet train --json
  alexnet schema data check       of alexnet data check DATA --json
  alexnet schema train --dry-run  of alexnet train --dry-run --json"""


def run(arguments: Sequence[str]) -> int:
    """Print the schema of a command, or the names of all."""
    command = " ".join(word for word in arguments if word != "--json")
    if not HELP_WORDS.isdisjoint(arguments):
        print(HELP)
    elif not command:
        print("\n".join(OUTPUTS))
    elif command not in OUTPUTS:
        raise UnknownNameError("command with --json", command, OUTPUTS)
    else:
        print(json_text(json_schema(output_class(command), command)))
    return 0
