"""Optional packages."""

from __future__ import annotations

from importlib.util import find_spec

from alexnet.errors import UsageError


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Check that an optional package is installed.

    Args:
        package: the name it is imported by.
        extra: the extra of this package that installs it.
        purpose: what needs it, to begin the message with.

    Raises:
        UsageError: it is not; the message has the command that installs it.
    """
    if find_spec(package) is None:
        raise UsageError(
            f"{purpose} needs the package {package}, which is not installed; "
            f'pip install "alexnet[{extra}]"'
        )
