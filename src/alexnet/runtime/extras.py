"""Packages that only some people need."""

from __future__ import annotations

from importlib.util import find_spec

from alexnet.errors import UsageError


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Refuse in one sentence when an optional package is not installed.

    Raises:
        UsageError: with the line that installs it.
    """
    if find_spec(package) is None:
        raise UsageError(
            f"{purpose} needs the package {package}, which is not installed; "
            f"pip install 'alexnet[{extra}]'"
        )
