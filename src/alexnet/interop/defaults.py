"""Defaults of an import for what the caller does not give."""

from __future__ import annotations

from pathlib import Path

from alexnet.config.architecture_file import find_architecture
from alexnet.errors import UsageError
from alexnet.interop.recognition import fitting_architectures
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import architecture

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def chosen_architecture(
    arch: str | Architecture, file: str, weights: str, input_size: int | None = None
) -> tuple[Architecture, tuple[str, ...]]:
    """The architecture to import, and a note if it was found from the file.

    Args:
        arch: a name, an `Architecture` or a file with one, as the user gave it; or "".
        file: the file to import, or "".
        weights: "torchvision" for its published weights instead of a file.
        input_size: side of the input in pixels, where the file does not say; None: as published.

    Raises:
        UsageError: neither a file nor torchvision is given, or both are; or `arch` is needed, since
            not exactly one architecture fits: the message names those that fit, or the nearest and
            its first mismatch.
        ModelFileError: there is no such file, or it cannot be read as any architecture.
        UnknownNameError: there is no such architecture.
    """
    if bool(file) == (weights == "torchvision"):
        raise UsageError("name one file to import, or --weights torchvision instead of a file")
    default = "alexnet_owt" if weights == "torchvision" else ""
    default = "alexnet_notebook" if file.endswith(KERAS_SUFFIXES) else default
    if arch or default:
        return find_architecture(arch or default), ()
    fitting = fitting_architectures(Path(file), input_size)
    if len(fitting) == 1:
        return architecture(fitting[0]), (
            f"{Path(file).name} is {fitting[0]}: no other architecture fits",
        )
    raise UsageError(
        f"--arch is needed: the architecture of {file}; by its layers it can be "
        f"{', '.join(fitting)}; see alexnet summary"
    )
