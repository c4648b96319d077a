"""Flags of `train` and `pretrain` that are not part of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.cli.flags import parse_known
from alexnet.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Everything about a run that is not its recipe."""

    config: str = ""
    """JSON file of a recipe, such as a run's config.json; flags override it."""
    out: str = ""
    """The run folder; a new numbered folder in runs/ unless given."""
    resume: str = ""
    """Resume the stopped run in this folder; takes no other flags but --json."""
    json: bool = False
    """Print the result as JSON."""


DEFAULT_OPTIONS = RunOptions()


def read_run_options(verb: str, arguments: Sequence[str]) -> tuple[str, RunOptions, list[str]]:
    """Split `[PRESET] [flags]` into the preset or "", the run's options, and the recipe's flags.

    The preset and the config file give the defaults of the recipe's flags, so these three are read
    before the recipe's flags are parsed.

    Raises:
        UsageError: --resume together with anything that would change the run.
    """
    words = list(arguments)
    preset = words.pop(0) if words and not words[0].startswith("-") else ""
    options, rest = parse_known(RunOptions, words, verb, add_help=False)
    others = [word for word in (preset, options.config, options.out, *rest) if word]
    if options.resume and others and not {"-h", "--help"} & set(rest):
        raise UsageError(
            f"--resume continues a run unchanged; leave out {others[0]!r} and all other words"
        )
    return preset, options, rest
