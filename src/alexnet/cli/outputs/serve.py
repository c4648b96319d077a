"""What `serve --json` prints when the first request can be answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOutput:
    """A server that is ready."""

    url: str
    """The URL of the server."""
    models: tuple[str, ...]
    """The names of the models."""
