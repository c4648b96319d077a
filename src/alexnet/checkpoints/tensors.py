"""Tensors and a JSON header in one safetensors file, with a checksum."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet.config.serialization import from_dict, json_text, parse_json, to_dict
from alexnet.errors import ConfigError, ModelFileError
from alexnet.io.files import atomic_write, open_regular
from alexnet.io.limits import MAX_HEADER_BYTES, MAX_WEIGHTS_BYTES

T = TypeVar("T")


HEADER_KEY = "alexnet"
"""The only metadata key, so that the same content gives the same bytes."""


CHECKSUM = "checksum"
"""The header's key for the checksum of everything else in the file; older files have none."""


FORMAT = 1
"""Of model files; a program reads its own."""


def save_tensors(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    """Write tensors and a dataclass as one file with its checksum, whole or not at all.

    Raises:
        OSError: it cannot be written; names the file.
    """
    plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    text = {CHECKSUM: checksum(plain, _text(to_dict(header))), **to_dict(header)}
    with atomic_write(path) as aside:
        aside.touch()
        mode = aside.stat().st_mode  # safetensors 0.8 leaves files that their owner alone can read
        try:
            save_file(plain, aside, metadata={HEADER_KEY: _text(text)})
        except SafetensorError as error:
            raise _as_os_error(error) from error
        aside.chmod(mode)


def _text(plain: object) -> str:
    return json_text(plain, indent=None)


def _as_os_error(error: SafetensorError) -> OSError:
    """What the system said, as Python would have raised it."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def load_tensors(path: Path, header: type[T]) -> tuple[dict[str, Tensor], T]:
    """Tensors and header of a file that `save_tensors` wrote.

    Raises:
        ModelFileError: missing, damaged, or not a file of this program.
    """
    try:
        check_file(path)
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            if text is None:
                raise ModelFileError(
                    f"{path} is a safetensors file of another program; "
                    "alexnet cannot tell its network"
                )
            plain = parse_json(text)
            check_format(path, plain)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_sum(path, tensors, plain)
        return tensors, from_dict(header, plain)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except (SafetensorError, OSError, ConfigError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{path} is not a whole alexnet file: {reason}") from error


def check_file(path: Path) -> None:
    """Refuse what cannot be a safetensors file, or is larger than any of ours.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ConfigError: the file or its header is too large.
    """
    with open_regular(path) as file:
        size_bytes, header_bytes = os.fstat(file.fileno()).st_size, file.read(8)
    claimed = int.from_bytes(header_bytes, "little")
    if size_bytes > MAX_WEIGHTS_BYTES:
        raise ConfigError(f"it has {size_bytes:,} bytes; at most {MAX_WEIGHTS_BYTES:,} are read")
    if claimed > MAX_HEADER_BYTES:
        raise ConfigError(f"its header claims {claimed:,} bytes, of {MAX_HEADER_BYTES:,}")


def check_sum(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    """Refuse a file whose content is not what its checksum was taken of; removes the checksum.

    Raises:
        ModelFileError: a byte has changed since it was written.
    """
    written = header.pop(CHECKSUM, None) if isinstance(header, dict) else None
    if written is not None and written != checksum(tensors, _text(header)):
        raise ModelFileError(f"{path} is damaged: its content does not match its checksum")


def check_format(path: Path, header: object) -> None:
    """Refuse a file of another format before anything else in it is looked at.

    Raises:
        ModelFileError: the header names another format, or is that of pretrained layers.
    """
    found = header.get("format", FORMAT) if isinstance(header, dict) else FORMAT
    if isinstance(found, int) and found != FORMAT:
        raise ModelFileError(
            f"{path} is of format {found}, and this alexnet reads {FORMAT}: install a newer"
        )
    if isinstance(header, dict) and "pretrained" in header:
        raise ModelFileError(
            f"{path} holds pretrained layers and no classifier; "
            f"train one from them: alexnet train --init-from {path}"
        )


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Eight hex digits (CRC-32) over the names, types, shapes and bytes of tensors, and a text.

    It finds damage, not malice; 1.6 GB/s on one core.
    """
    total = zlib.crc32(text.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        kind = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        total = zlib.crc32(kind.encode("utf-8"), total)
        values = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        total = zlib.crc32(values.data, total)
    return f"{total:08x}"
