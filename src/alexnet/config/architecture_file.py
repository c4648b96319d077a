"""Read a custom architecture from a Python file or a JSON file."""

from __future__ import annotations

import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alexnet.config.serialization import from_dict, parse_json
from alexnet.errors import AlexNetError, ConfigError, UnknownNameError, UsageError
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.paths import path_text
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import architecture

PYTHON_FILE = re.compile(r"(?P<path>.+\.py)(:(?P<name>\w+))?", re.DOTALL)


def named_or_own(text: str) -> str | Architecture:
    """Read the architecture if the text names a file; any other text is a name and returned.

    Args:
        text: `mynets.py:table`, which runs that file, `table.json`, or a name such as `alexnet`.

    Raises:
        UsageError: the file cannot be read, fails, or has no such architecture.
        ConfigError: the JSON is not that of an architecture.
    """
    if found := PYTHON_FILE.fullmatch(text):
        return python_architecture(Path(path_text(found["path"])), found["name"] or "")
    if text.lower().endswith(".json"):
        return json_architecture(Path(path_text(text)))
    return text


def find_architecture(arch: str | Architecture) -> Architecture:
    """The architecture for a name or a file (see `named_or_own`); an `Architecture` is returned.

    Raises:
        UnknownNameError: there is no architecture of that name; the message suggests similar names.
        UsageError: the file cannot be read, fails, or has no such architecture; or `arch` is
            neither a name nor an architecture.
        ConfigError: the JSON is not that of an architecture.
    """
    if not isinstance(arch, str | Architecture):
        advice = "; its .architecture is one" if hasattr(arch, "architecture") else ""
        raise UsageError(
            "an architecture is its name, a file with one or an Architecture; "
            f"not a {type(arch).__name__}{advice}"
        )
    return architecture(named_or_own(arch) if isinstance(arch, str) else arch)


def json_architecture(path: Path) -> Architecture:
    """The architecture in a JSON file, such as `to_json(architecture)` makes.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is not the JSON of an architecture.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_TEXT_BYTES:
        raise ConfigError(f"{path} has more than {MAX_TEXT_BYTES:,} bytes, more than any table")
    try:
        return from_dict(Architecture, parse_json(text), "architecture")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def python_architecture(path: Path, name: str = "") -> Architecture:
    """Run a Python file and return its architecture `name`, or its only one if `name` is "".

    Raises:
        UsageError: the file cannot be read, fails (the message has the line), or has no such value.
    """
    values = run_file(path)
    tables = {key: value for key, value in values.items() if isinstance(value, Architecture)}
    own = {key: value for key, value in tables.items() if not key.startswith("_")}
    if not name and len(own) == 1:
        return next(iter(own.values()))
    if not name or not own:
        raise UsageError(_which(path, name, list(own)))
    if name in values and name not in tables:
        raise UsageError(f"{path}: {name} is a {type(values[name]).__name__}, not an Architecture")
    if name not in tables:
        raise UnknownNameError(f"architecture of {path}", name, own)
    return tables[name]


def _which(path: Path, name: str, names: list[str]) -> str:
    """The message where a name is needed, or where the file has no architecture."""
    if not names:
        return f"{path} has no Architecture at its top level{f', so no {name}' if name else ''}"
    return f"{path} has {len(names)} architectures; name one: {path}:{names[0]} (of {names})"


def run_file(path: Path) -> dict[str, Any]:
    """Run a Python file, which may import modules beside it; return its values by name.

    Raises:
        UsageError: it cannot be read, or fails; the message has the line and the error.
    """
    try:
        with _importing_from(path.parent):
            return runpy.run_path(str(path), run_name="alexnet_own_architecture")
    except AlexNetError as error:
        raise UsageError(f"{path}{_line(error, path)}: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and not _line(error, path):
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        text = error.msg if isinstance(error, SyntaxError) else error
        raise UsageError(f"{path}{_line(error, path)}: {type(error).__name__}: {text}") from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """A context in which modules of a folder can be imported, as beside a script."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


def _line(error: BaseException, path: Path) -> str:
    """The last line of the file that led to the error, as ", line 12"; "" if none did."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
