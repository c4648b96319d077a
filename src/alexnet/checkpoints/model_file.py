"""Model files and training states: safetensors, the rest as JSON in the header. No pickle."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checksum import checksum
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_plain, json_text, parse_json, to_plain
from alexnet.errors import ConfigError, ModelFileError
from alexnet.io.files import open_regular, written_aside
from alexnet.models.architecture import Architecture
from alexnet.models.limits import check_pictures, check_tensors

T = TypeVar("T")
HEADER_KEY = "alexnet"
"""The only metadata key, so that the same content gives the same bytes."""
CHECKSUM = "checksum"
"""The header's key for the checksum of everything else in the file; older files have none."""
FORMAT = 1
"""Of model files; a program reads its own."""
LARGEST_FILE_BYTES = 1 << 33
LARGEST_HEADER_BYTES = 1 << 24
MEAN_IMAGE = "preprocessing.mean_image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What the model reached when it was saved; errors from 0 to 1, below 0 when not measured."""

    epoch: int = 0
    val_top1_error: float = -1.0
    test_top1_error: float = -1.0
    test_top5_error: float = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """What a model file says of itself, beside its weights."""

    format: int = FORMAT
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Recipe
    """How it was trained; evaluation takes the data set and its split from here."""
    listing: str = ""
    """Digest of the data set's names, labels and splits; with another one the split is another."""
    scores: Scores = Scores()


def save_tensors(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    """Write tensors and a dataclass as one file with its checksum, whole or not at all.

    Raises:
        OSError: it cannot be written; names the file.
    """
    plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    text = {CHECKSUM: checksum(plain, _text(to_plain(header))), **to_plain(header)}
    with written_aside(path) as aside:
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
        return tensors, from_plain(header, plain)
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
    if size_bytes > LARGEST_FILE_BYTES:
        raise ConfigError(f"it has {size_bytes:,} bytes; at most {LARGEST_FILE_BYTES:,} are read")
    if claimed > LARGEST_HEADER_BYTES:
        raise ConfigError(f"its header claims {claimed:,} bytes, of {LARGEST_HEADER_BYTES:,}")


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


def save_model(
    path: Path, weights: dict[str, Tensor], info: ModelInfo, mean_image: Tensor | None = None
) -> None:
    """Write a model file: weights as the state dict names them, and the mean picture if any."""
    extra = {} if mean_image is None else {MEAN_IMAGE: mean_image}
    save_tensors(path, {**weights, **extra}, info)


def load_model(path: Path) -> tuple[dict[str, Tensor], ModelInfo, Tensor | None]:
    """Weights, header and mean picture of a model file.

    Raises:
        ModelFileError: missing, damaged, or not a model of this program.
    """
    tensors, info = load_tensors(path, ModelInfo)
    mean_image = tensors.pop(MEAN_IMAGE, None)
    try:
        check_pictures(info.architecture, info.preprocessing, mean_image)
        check_tensors(info.architecture, tensors)
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be used: {error}") from error
    if len(info.classes) != info.architecture.classes:
        raise ModelFileError(
            f"{path} names {len(info.classes)} classes for {info.architecture.classes} outputs"
        )
    return tensors, info, mean_image
