"""What `alexnet log --json` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LogOutput:
    """The logs that were written."""

    logs: tuple[str, ...]
    """Folders of the logs, in the order of the runs and of the loggers."""
