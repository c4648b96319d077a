"""A config file: JSON, TOML or YAML, by its ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet.config.serialization import parse_json, parse_toml
from alexnet.errors import ConfigError, UsageError
from alexnet.io.limits import MAX_TEXT_BYTES, MAX_YAML_BYTES
from alexnet.runtime.extras import require_extra

YAML_SUFFIXES = (".yaml", ".yml")


def read_config(path: Path) -> Any:
    """The values in a config file.

    Args:
        path: a file that ends in .toml, .yaml or .yml; with another ending, or a pipe, JSON.

    Raises:
        ConfigError: it is not JSON, TOML or YAML, has a duplicate key, or is too large.
        UsageError: no such file, or YAML where PyYAML is not installed.
    """
    suffix = path.suffix.lower()
    text = _read(path, MAX_YAML_BYTES if suffix in YAML_SUFFIXES else MAX_TEXT_BYTES)
    try:
        if suffix in YAML_SUFFIXES:
            return _parse_yaml(text, path)
        return parse_toml(text) if suffix == ".toml" else parse_json(text)
    except ConfigError as error:
        raise ConfigError(f"{path} is {error}") from error


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:  # may be a pipe
            text = file.read(max_bytes + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > max_bytes:
        raise ConfigError(f"{path} has more than {max_bytes:,} bytes; no recipe is that long")
    return text


def _parse_yaml(text: bytes, path: Path) -> Any:
    require_extra("yaml", "yaml", str(path))
    from alexnet.training.yaml_text import parse_yaml

    return parse_yaml(text)
