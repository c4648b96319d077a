"""What `cache list` and `cache clean` print with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alexnet.io.cache import CacheEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryOutput:
    """A file or folder of the cache."""

    path: str
    kind: str
    """What it is, such as "image store"."""
    size_bytes: int
    used_at: str
    """When it was last read or written, in UTC, as ISO 8601."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheListOutput:
    """The entries of the cache folder."""

    cache: str
    """The folder."""
    entries: tuple[EntryOutput, ...]
    """The entries, most recently used first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheCleanOutput:
    """What is removed from the cache folder, or would be with --yes."""

    cache: str
    """The folder."""
    dry_run: bool
    removed: tuple[EntryOutput, ...]
    kept: dict[str, str]
    """Reasons why other entries of that age could not be removed, by path."""


def entry_outputs(entries: Sequence[CacheEntry]) -> tuple[EntryOutput, ...]:
    """Make the output of cache entries."""
    return tuple(
        EntryOutput(
            path=one.path,
            kind=one.kind,
            size_bytes=one.size_bytes,
            used_at=datetime.fromtimestamp(one.used_at, UTC).isoformat(timespec="seconds"),
        )
        for one in entries
    )
