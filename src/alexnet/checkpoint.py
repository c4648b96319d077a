"""Model files and training states: safetensors, the rest as JSON in the header. No pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet.architectures import Architecture
from alexnet.data.files import written_aside
from alexnet.errors import ConfigError, ModelFileError
from alexnet.preprocessing import Preprocessing
from alexnet.recipe import Recipe
from alexnet.values import from_plain, to_json

T = TypeVar("T")
HEADER_KEY = "alexnet"
"""The only metadata key, so that the same content gives the same bytes."""
FORMAT = 1
"""Of model files; a program reads its own."""
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
    """Write tensors and a dataclass as one file, whole or not at all."""
    plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    with written_aside(path) as aside:
        save_file(plain, aside, metadata={HEADER_KEY: to_json(header, indent=None)})


def load_tensors(path: Path, header: type[T]) -> tuple[dict[str, Tensor], T]:
    """Tensors and header of a file that `save_tensors` wrote.

    Raises:
        ModelFileError: missing, damaged, or not a file of this program.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            if text is None:
                raise ModelFileError(
                    f"{path} is a safetensors file of another program; "
                    "alexnet cannot tell its network"
                )
            plain = json.loads(text)
            check_format(path, plain)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, from_plain(header, plain)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except (SafetensorError, OSError, ConfigError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a whole alexnet file: {error}") from error


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
    if info.preprocessing.has_mean_image and mean_image is None:
        raise ModelFileError(f"{path} lacks its mean image")
    if len(info.classes) != info.architecture.classes:
        raise ModelFileError(
            f"{path} names {len(info.classes)} classes for {info.architecture.classes} outputs"
        )
    return tensors, info, mean_image
