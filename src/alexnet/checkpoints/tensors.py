"""Tensors and a JSON header in one safetensors file, with a checksum."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checkpoints.file_format import DESCRIPTIONS, file_format
from alexnet.checkpoints.file_header import HEADER_KEY
from alexnet.config.serialization import from_dict, json_text, parse_json, to_dict
from alexnet.errors import ConfigError, ModelFileError
from alexnet.io.files import atomic_write, open_regular
from alexnet.io.limits import MAX_HEADER_BYTES, MAX_WEIGHTS_BYTES
from alexnet.io.text import error_text, short_repr

T = TypeVar("T")

FORMAT_KEY, CHECKSUM_KEY = "format", "checksum"
"""Keys of the header that are added to those of the dataclass."""

FORMAT = 3
"""Number of the file format; files of another format are rejected."""
OWN_FORMATS = ("safetensors", "empty", "unknown")
"""Formats that `file_format` may find in a model file; all but the first if it is damaged."""
IMPORTABLE = ("torch", "torch_legacy", "pickle", "onnx", "keras", "hdf5", "npy", "caffemodel")
PROGRAMS = {
    "torch_export": "by torch.export.load({path!r}).module()(images)",
    "torchscript": "by torch.jit.load({path!r})(images)",
}
"""Formats of whole programs, whose code is not run here, and how torch runs them."""
MAX_READS = 5
"""Attempts to read a file that is replaced meanwhile; a training writes once an epoch at most."""
IMPORT_HINT = "`alexnet import {path}` makes one"


def save_tensors(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    """Write tensors and a dataclass atomically as one safetensors file with a checksum.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    arrays = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    plain = to_dict(header)
    added = {FORMAT_KEY: FORMAT, CHECKSUM_KEY: checksum(arrays, _text(plain))}
    with atomic_write(path) as temp:
        temp.touch()
        mode = temp.stat().st_mode  # safetensors 0.8 makes files that only their owner can read
        try:
            save_file(arrays, temp, metadata={HEADER_KEY: _text({**added, **plain})})
        except SafetensorError as error:
            raise _as_os_error(error) from error
        temp.chmod(mode)


def _text(plain: object) -> str:
    return json_text(plain, indent=None)


def _as_os_error(error: SafetensorError) -> OSError:
    """The operating system's error in a SafetensorError, as the OSError of its number."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def load_tensors(path: Path, header: type[T]) -> tuple[dict[str, Tensor], T]:
    """Load the tensors and the header of a file that `save_tensors` wrote.

    safetensors opens a file once for its header and once for its tensors. If a training has put a
    new file in its place in between, they do not belong together; the new file is then read.

    Raises:
        ModelFileError: missing, damaged, of another format, or of another program.
    """
    for _ in range(MAX_READS):
        before = _identity(path)
        try:
            return _load_tensors(path, header)
        except ModelFileError as error:
            failure = error
            if _identity(path) == before:
                break
    raise failure


def _identity(path: Path) -> tuple[int, ...]:
    """Device, inode, time and size, to tell whether a file was replaced; () if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _load_tensors(path: Path, header: type[T]) -> tuple[dict[str, Tensor], T]:
    """`load_tensors` for a file that is not replaced meanwhile."""
    try:
        _reject_other_format(path)
        check_file(path)
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            if text is None:
                raise ModelFileError(
                    f"{path} is a safetensors file of another program; "
                    f"{IMPORT_HINT.format(path=path)}"
                )
            plain = check_header(path, parse_json(text))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        written = plain.pop(CHECKSUM_KEY, None)
        if written is not None and written != checksum(tensors, _text(plain)):
            raise ModelFileError(f"{path} is damaged: its content does not match its checksum")
        return tensors, from_dict(header, plain)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except (SafetensorError, OSError, ConfigError) as error:
        raise ModelFileError(f"{path} is incomplete or damaged: {error_text(error)}") from error


def _reject_other_format(path: Path) -> None:
    """Reject a file of a known other format, saying which it is and how to import it.

    Raises:
        ModelFileError: a file of a known other format.
    """
    try:
        found = file_format(path)
    except ValueError as error:  # a damaged zip archive
        raise ModelFileError(f"{path} is no model of this program: {error}") from error
    if found in OWN_FORMATS:
        return
    hint = f"; {IMPORT_HINT.format(path=path)}" if found in IMPORTABLE else ""
    if found == "image":
        hint = ": the model comes first, before the images"
    if found in PROGRAMS:
        call = PROGRAMS[found].format(path=str(path))
        hint = (
            f", a program without class names: predict with the run it is of, or in Python {call}"
        )
    raise ModelFileError(f"{path} is no model of this program, but {DESCRIPTIONS[found]}{hint}")


def check_file(path: Path) -> None:
    """Reject a file that is too large, or whose safetensors header claims to be.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        ConfigError: the file or its header is too large.
    """
    with open_regular(path) as file:
        size_bytes, header_bytes = os.fstat(file.fileno()).st_size, file.read(8)
    claimed = int.from_bytes(header_bytes, "little")
    if size_bytes > MAX_WEIGHTS_BYTES:
        raise ConfigError(f"it has {size_bytes:,} bytes; at most {MAX_WEIGHTS_BYTES:,} are read")
    if claimed > MAX_HEADER_BYTES:
        raise ConfigError(f"its header claims {claimed:,} bytes; at most {MAX_HEADER_BYTES:,}")


def check_header(path: Path, header: object) -> dict[str, Any]:
    """Check a header's format number, and return the header without it.

    Raises:
        ModelFileError: the format is another, or the file has pretrained layers, no classifier.
        ConfigError: the header is not a JSON object.
    """
    if not isinstance(header, dict):
        raise ConfigError(f"its header must be an object, not {short_repr(header)}")
    check_format(path, header.get(FORMAT_KEY, 1))
    if "pretrained" in header:
        raise ModelFileError(
            f"{path} has pretrained layers, not a classifier; "
            f"train one from them: alexnet train --from {path}"
        )
    return {key: value for key, value in header.items() if key != FORMAT_KEY}


def check_format(
    path: Path,
    found: object,
    expected: int = FORMAT,
    again: str = "train or import the model again",
) -> None:
    """Reject a file of another format before anything else in it is read.

    Args:
        path: the file's path, for the message.
        found: the file's format number.
        expected: the format number that this version reads.
        again: how to make a file of that format, for the message.

    Raises:
        ModelFileError: says whether the file is older or newer, and what to do.
    """
    if found == expected:
        return
    is_newer = isinstance(found, int) and found > expected
    age, remedy = (
        ("a newer", "install that version")
        if is_newer
        else ("an older", f"use it with that version, or {again}")
    )
    raise ModelFileError(
        f"{path} was written by {age} version of alexnet (format {short_repr(found)}, and this "
        f"version reads format {expected}): {remedy}"
    )


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """The CRC-32 of tensors (their names, types, shapes and bytes) and a text, as 8 hex digits.

    It detects damage, not tampering; 1.6 GB/s on one core.
    """
    total = zlib.crc32(text.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        kind = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        total = zlib.crc32(kind.encode("utf-8"), total)
        values = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        total = zlib.crc32(values.data, total)
    return f"{total:08x}"
