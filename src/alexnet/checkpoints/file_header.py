"""The header of this package's files, read without torch and without the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from alexnet.config.serialization import from_dict, own_file_error, parse_json
from alexnet.errors import ConfigError, ModelFileError, UsageError
from alexnet.models.architecture import Architecture
from alexnet.models.limits import check_limits

HEADER_KEY = "alexnet"
"""The only metadata key, so that the same content gives the same bytes."""


def read_header(path: Path) -> dict[str, Any]:
    """The header of a file of this package, as JSON has it; empty for any other file."""
    try:
        with safe_open(path, framework="numpy") as file:
            plain = parse_json((file.metadata() or {}).get(HEADER_KEY, "null"))
    except (SafetensorError, OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def reject_own_model(path: Path) -> None:
    """Raise UsageError for a model file that this program wrote, and for a run folder."""
    if read_header(path / "model.safetensors" if path.is_dir() else path):
        raise UsageError(f"{path} is a model of this program already; no import is needed")


def read_architecture(path: Path) -> Architecture:
    """The architecture of a model file, or of a run's model; the weights are not read.

    Raises:
        ModelFileError: there is no model, or its header is damaged.
    """
    if path.is_dir():
        if not (path / "model.safetensors").exists():
            from alexnet.checkpoints.missing_model import no_model_text  # filelock: 40 ms

            raise ModelFileError(no_model_text(path))
        path = path / "model.safetensors"
    if not path.exists():
        raise ModelFileError(f"there is no file {path}")
    header = read_header(path)
    if "architecture" not in header:
        raise ModelFileError(f"{path} is not a model file of this program")
    try:
        arch = from_dict(Architecture, header["architecture"])
        check_limits(arch)
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be used: {own_file_error(error)}") from error
    return arch
