"""`alexnet cache list|clean`: what the cache folder holds, and removing what is not used."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alexnet.cli.console import NOT_YET, note, print_json, size_text, table
from alexnet.cli.flags import dispatch, parse
from alexnet.cli.outputs.cache import CacheCleanOutput, CacheListOutput, entry_outputs
from alexnet.errors import UsageError
from alexnet.io.cache import IN_USE, CacheEntry, cache_entries, remove_entry
from alexnet.io.paths import cache_folder
from alexnet.io.text import printable

HELP = """usage: alexnet cache ACTION ...

The cache folder holds image stores, downloads, unpacked archives, compiled
kernels and optimized networks. All of them are made again when needed.

  list   the entries with size and last use
  clean  remove entries that have not been used for 30 days or --older-than

  alexnet cache list                         what is in it, and how large
  alexnet cache clean                        what would be removed; --yes removes it
  alexnet cache clean --older-than 7d --yes  remove more than by default

alexnet cache ACTION --help lists an action's flags."""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
"""Seconds in a second, minute, hour, day and week."""


def run(arguments: Sequence[str]) -> int:
    """Run the action that the first word names."""
    return dispatch(arguments, ACTIONS, HELP, "action of alexnet cache")


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """The entries of the cache folder, those used last first."""

    json: bool = False
    """Print JSON."""


def list_action(arguments: Sequence[str]) -> int:
    """Print the entries."""
    flags = parse(ListFlags, arguments, "cache list")
    cache, entries = cache_folder(), cache_entries(cache_folder())
    if flags.json:
        print_json(CacheListOutput(cache=str(cache), entries=entry_outputs(entries)))
        return 0
    if entries:
        rows = [_cells(one, cache) for one in entries]
        print(table(("entry", "what it is", "size", "last used"), rows, left=2) + "\n")
    print(f"{printable(str(cache))}: {_sum_text(entries)}")
    return 0


@dataclass(frozen=True, kw_only=True)
class CleanFlags:
    """Remove entries of the cache folder that have not been used for some time.

    What a process is using, links, and files that this program has not made stay.
    """

    older_than: str = "30d"
    """Time since the last use: a number with s, m, h, d or w; 0d: every entry."""
    yes: bool = False
    """Remove them; unless given, they are only listed."""
    dry_run: bool = False
    """Only list what would be removed, as without --yes."""
    json: bool = False
    """Print JSON."""


def clean_action(arguments: Sequence[str]) -> int:
    """Remove old entries and print them; the exit code is 1 if one could not be removed."""
    flags = parse(CleanFlags, arguments, "cache clean")
    cache, latest = cache_folder(), time.time() - age_seconds(flags.older_than)
    old = [entry for entry in cache_entries(cache) if entry.used_at <= latest]
    is_sure = flags.yes and not flags.dry_run
    kept = {entry.path: remove_entry(entry) if is_sure else "" for entry in old}
    removed = [entry for entry in old if not kept[entry.path]]
    problems = {path: reason for path, reason in kept.items() if reason}
    code = int(any(reason != IN_USE for reason in problems.values()))
    if flags.json:
        facts = CacheCleanOutput(
            cache=str(cache),
            dry_run=not is_sure,
            removed=entry_outputs(removed),
            kept=problems,
        )
        print_json(facts)
        return code
    verb = "removed" if is_sure else "would remove"
    if removed:
        rows = [_cells(one, cache) for one in removed]
        print(table((verb, "what it is", "size", "last used"), rows, left=2) + "\n")
    print(f"{verb} {_sum_text(removed)} in {printable(str(cache))}")
    if removed and not is_sure:
        note(NOT_YET)
    for path, reason in problems.items():
        note(f"kept {path}: {reason}")
    return code


def age_seconds(text: str) -> float:
    """Convert "30d", "12h", "2w" or "7" (days) to seconds.

    Raises:
        UsageError: the text has another form.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw]?)", text.strip().lower())
    if not match:
        raise UsageError(f"--older-than {text!r} must be a number with a unit, such as 30d or 12h")
    return float(match[1]) * SECONDS[match[2] or "d"]


def _cells(entry: CacheEntry, cache: Path) -> tuple[str, ...]:
    used_at = datetime.fromtimestamp(entry.used_at, UTC).astimezone()
    name = str(Path(entry.path).relative_to(cache))
    return name, entry.kind, size_text(entry.size_bytes), used_at.strftime("%Y-%m-%d %H:%M")


def _sum_text(entries: Sequence[CacheEntry]) -> str:
    count = len(entries)
    size = size_text(sum(entry.size_bytes for entry in entries))
    return f"{count} entr{'y' if count == 1 else 'ies'}, {size}"


ACTIONS = {"list": list_action, "clean": clean_action}
