"""What `runs`, `runs clean` and `runs remove` print with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.training.run_index import RunSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsOutput:
    """The runs in a folder."""

    runs: tuple[RunSummary, ...]
    """The runs, sorted as --sort says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """A file or folder to remove."""

    path: str
    reason: str
    """What the file or folder is."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalOutput:
    """The files and folders that are removed, or would be with --yes."""

    removed: bool
    """False without --yes: nothing was removed."""
    paths: tuple[Removal, ...]
    problems: tuple[str, ...]
    """Why some could not be removed: sentences. With one, the exit code is 1."""


def removal_output(
    rows: Sequence[tuple[str, str, int]], removed: bool, problems: Sequence[str]
) -> RemovalOutput:
    """Make the output of a removal; a row is (path, reason, size in bytes)."""
    return RemovalOutput(
        removed=removed,
        paths=tuple(Removal(path=path, reason=why, size_bytes=size) for path, why, size in rows),
        problems=tuple(problems),
    )
