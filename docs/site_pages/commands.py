"""A page for every verb: what it does, examples, and every flag with its default."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import MISSING
from importlib import import_module
from typing import Any

from alexnet.cli import VERBS
from alexnet.cli.completion import COMMANDS
from alexnet.cli.flag_list import Flag, list_flags
from alexnet.cli.help_pages import PAGES, HelpPage
from alexnet.pretraining.recipe import KINDS
from site_pages.markdown import code, escape, fenced, table

MODES = {
    "explain --filters": "explain_filters:FiltersFlags",
    "explain --neighbors, explain --map": "explain_neighbors:NeighborsFlags",
    "completion": "completion:CompletionFlags",
}
"""Commands with flags of their own that no shell completes."""
HELP_ONLY = {
    "schema": "A command of the [list of schemas](../schemas.md), or nothing for the list."
}
"""Verbs without flags, and what follows them."""


def pages() -> dict[str, str]:
    """From the path of every page to its text."""
    index = ["# Commands and flags", "", INTRODUCTION, "", _index(), "", _toctree(VERBS)]
    return {
        "commands/index.md": "\n".join(index),
        **{f"commands/{verb}.md": "\n\n".join(_verb_page(verb)) + "\n" for verb in VERBS},
    }


INTRODUCTION = """Every verb of the command line with its flags, from the dataclasses behind them;
`alexnet VERB --help-all` prints the same. A switch such as `--json` has no value; one that is on by
default is turned off by its name with `no-` in front. Defaults of `train` are those of a plain
recipe; [presets](../recipes.md) have others."""


def _index() -> str:
    return table(("verb", ""), [(f"[`{v}`]({v}.md)", escape(t)) for v, t in VERBS.items()])


def _toctree(names: Sequence[str] | Any) -> str:
    return "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])


def _verb_page(verb: str) -> Iterator[str]:
    """The parts of a verb's page: those of its actions and modes too."""
    known = {**COMMANDS, **MODES}
    commands = [name for name in known if name.split()[0] == verb]
    yield f"# alexnet {verb}"
    yield escape(VERBS[verb]).capitalize() + "."
    if verb in HELP_ONLY:
        yield HELP_ONLY[verb]
    for name in commands:
        if len(commands) > 1:
            yield f"## alexnet {name}"
        yield from _command(name, known[name], "##" + "#" * (len(commands) > 1))


def _command(name: str, place: str, heading: str) -> Iterator[str]:
    """What a command does, its examples, and its flags in their groups."""
    cls = _flags_class(place)
    kind = KINDS.get(name.partition(" ")[2])
    flags = list(list_flags(cls, cls(recipe=kind()) if kind else None))
    page, mode = PAGES.get(name.partition(" --")[0], HelpPage()), f"--{name.partition('--')[2]}"
    yield escape(inspect.cleandoc(cls.__doc__ or ""))
    examples = page.examples_of.get(mode.partition(",")[0], () if "--" in name else page.examples)
    if examples:
        yield fenced("sh", "\n".join(f"alexnet {words}   # {text}" for words, text in examples))
    yield f"```{{program}} alexnet {name.partition(' --')[0]}\n```"
    for group, members in _groups(flags).items():
        if len(_groups(flags)) > 1:
            yield f"{heading} {escape(group)}"
        yield "\n\n".join(map(_entry, members))


def _flags_class(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"alexnet.cli.{module}"), name)


def _groups(flags: Sequence[Flag]) -> dict[str, list[Flag]]:
    groups: dict[str, list[Flag]] = {}
    for flag in flags:
        groups.setdefault(flag.group.rstrip("."), []).append(flag)
    return groups


def _entry(flag: Flag) -> str:
    """A flag with its text and its default."""
    names = ", ".join(flag.names) or flag.metavar
    title = f"{names} {flag.metavar}" if flag.names and flag.metavar else names
    body = [escape(flag.help), *([f"Default: {default}."] if (default := _default(flag)) else [])]
    if flag.is_positional:
        return f"{code(title)}\n: {' '.join(body)}"
    return f"```{{option}} {title}\n{' '.join(body)}\n```"


def _default(flag: Flag) -> str:
    """The default in words; "" where the flag's text says what happens without it."""
    value = flag.default
    if value is MISSING:
        return "" if flag.is_positional else "none, it must be given"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, tuple):
        return code(" ".join(map(str, value)))
    return code(f"{value:g}" if isinstance(value, float) else str(getattr(value, "name", value)))
