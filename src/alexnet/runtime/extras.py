"""Check that optional packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

from alexnet.errors import UsageError


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Check that an optional package is installed.

    Args:
        package: the name by which it is imported.
        extra: the extra of alexnet that installs it.
        purpose: the purpose for which it is needed, the beginning of the message.

    Raises:
        UsageError: the package is not installed; the message has the command that installs it.
    """
    if find_spec(package) is None:
        raise UsageError(
            f"{purpose} needs the package {package}, which is not installed; "
            f'pip install "alexnet[{extra}]"'
        )
