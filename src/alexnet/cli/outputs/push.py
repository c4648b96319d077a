"""What `alexnet push --json` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PushedFile:
    """A file of the folder."""

    path: str
    """The path of the file in the folder."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PushOutput:
    """A run that is shared."""

    folder: str
    files: tuple[PushedFile, ...]
    address: str
    """The address by which `alexnet predict` and `alexnet.load` find the model."""
    commit: str | None
    """The address of the commit; null with --dry-run."""
