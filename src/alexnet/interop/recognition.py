"""Find the architectures as which a file of another program can be read."""

from __future__ import annotations

from pathlib import Path

from alexnet.errors import AlexNetError, ModelFileError, UsageError
from alexnet.interop.importer import read_network
from alexnet.interop.match import OtherNetworkError
from alexnet.models.zoo import ZOO

MOST_FILES = "alexnet_owt"
"""Torchvision's network, which is named if no architecture fits and several are equally near."""


def fitting_architectures(path: Path, input_size: int | None = None) -> list[str]:
    """The names of the architectures as which a file can be read, by its layers and their widths.

    Args:
        path: the file, see `import_model`.
        input_size: side of the input in pixels if the file does not give it; None: as published.

    Raises:
        ModelFileError: the file is missing or damaged, or holds no weights that can be read.
        UsageError: the file is of none of the architectures; the message names the nearest one and
            its first mismatch. Or an optional package is missing.
    """
    errors: dict[str, AlexNetError] = {}
    for name in ZOO:
        try:
            read_network(path, ZOO[name], input_size=input_size)
        except AlexNetError as error:
            errors[name] = error
    fitting = [name for name in ZOO if name not in errors]
    if fitting:
        return fitting
    nearest = errors[max(errors, key=lambda name: (_nearness(errors[name]), name == MOST_FILES))]
    if len({str(error) for error in errors.values()}) == 1:
        raise nearest  # which is of the file, whatever the architecture
    if isinstance(nearest, OtherNetworkError) and nearest.is_size:
        raise UsageError(str(nearest)) from nearest  # which says what to do
    raise UsageError(
        f"no published architecture fits {path}, and --arch takes others, too (nets.py:NAME); "
        f"the nearest: {nearest}"
    ) from nearest


def _nearness(error: AlexNetError) -> float:
    """The number of matched layers; infinite for an unreadable file, -1 for any other error."""
    if isinstance(error, OtherNetworkError):
        return error.num_matched
    return float("inf") if isinstance(error, ModelFileError) else -1
