"""A file of another program as a model of this one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, save_model
from alexnet.checkpoints.tensors import HEADER_KEY
from alexnet.checkpoints.validation import first_nonfinite
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.errors import ModelFileError, UsageError
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.interop.onnx.graph import Graph
from alexnet.interop.onnx.reader import Channels, check_parity, read_onnx
from alexnet.interop.parity import Parity
from alexnet.interop.published_preprocessing import Pictures, preprocessing_of
from alexnet.interop.state_dict import read_state_dict
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.models.architecture import Architecture
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions
from alexnet.models.zoo import architecture

KERAS = (".keras", ".h5")
STATE_DICTS = (".pth", ".pt", ".bin", ".safetensors")


@dataclass(frozen=True, eq=False)
class Imported:
    """A foreign file, read, checked and not yet saved."""

    info: ModelInfo
    weights: dict[str, Tensor]
    parity: Parity | None
    """How far the file's own computation is from ours; None where it has none to run."""

    def save(self, out: Path) -> None:
        """Write the model file."""
        save_model(out, self.weights, self.info)


def import_model(
    path: Path,
    arch: str,
    *,
    class_names: tuple[str, ...] = (),
    channels: Channels = "rgb",
    pictures: Pictures = "published",
    input_size: int | None = None,
) -> Imported:
    """Read a file of another program as the network `arch`.

    Args:
        path: `.onnx`, `.keras`, `.weights.h5`, or a state dict (`.pth`, `.pt`, `.safetensors`).
        arch: the architecture that it is.
        class_names: in the order of the outputs; "class 0" and so on unless given.
        channels: the order in which an ONNX file takes colours; ours is always RGB.
        pictures: whose preprocessing the model records.
        input_size: side of the input, where the file does not tell it; None: as published.

    Raises:
        ModelFileError: damaged, not this network, or computing something else.
        UsageError: what was asked does not go together, or an optional package is missing.
        UnknownNameError: no such architecture.
    """
    table = architecture(arch)
    fitted, graph = _read(path, table, channels, input_size)
    check_limits(fitted.table)
    if broken := first_nonfinite(fitted.weights):
        raise ModelFileError(f"{path.name}: {broken} holds values that are not numbers")
    info = _info(path, fitted.table, class_names, pictures)
    network = loaded(fitted)
    parity = graph and check_parity(path, network, graph, channels, info.preprocessing)
    return Imported(info, network.state_dict(), parity or None)


def _read(
    path: Path, table: Architecture, channels: Channels, input_size: int | None
) -> tuple[MatchedModel, Graph | None]:
    """The file's table and weights by its ending, and its graph where it has one to run."""
    suffix = path.suffix.lower()
    if channels == "bgr" and suffix != ".onnx":
        raise UsageError(f"--channels bgr is for ONNX files; {path.name} is none")
    if suffix == ".onnx":
        return read_onnx(path, table, channels)
    if suffix in KERAS:
        return read_keras(path, table, input_size), None
    if suffix in STATE_DICTS:
        _refuse_own(path)
        return read_state_dict(path, table, input_size), None
    known = ", ".join((".onnx", *KERAS, *STATE_DICTS))
    raise UsageError(f"{path} has none of the endings {known}")


def _refuse_own(path: Path) -> None:
    """Send away the model files of this program."""
    if path.suffix == ".safetensors" and path.is_file():
        with path.open("rb") as file:
            is_own = f'"__metadata__":{{"{HEADER_KEY}"'.encode() in file.read(200)
        if is_own:
            raise UsageError(f"{path} is a model of this program already; use it as it is")


def _info(
    path: Path, table: Architecture, class_names: tuple[str, ...], pictures: Pictures
) -> ModelInfo:
    names = class_names or tuple(f"class {i}" for i in range(table.num_classes))
    if len(names) != table.num_classes:
        raise UsageError(
            f"--class-names has {len(names)} names, and {path.name} has {table.num_classes} classes"
        )
    rule = preprocessing_of(pictures, table)
    recipe = Recipe(
        name="imported",
        data="",
        arch=table.name,
        model=ModelOptions(input_size=table.input[1]),
        data_options=DataOptions(resize=rule.resize, resize_size=rule.resize_size),
        init_from=path.name,
    )
    return ModelInfo(architecture=table, class_names=names, preprocessing=rule, recipe=recipe)


def loaded(fitted: MatchedModel) -> Network:
    """A network with the weights of a file."""
    with torch.device("meta"):
        network = Network(fitted.table)
    network = network.to_empty(device="cpu")
    tracked = {
        name: torch.zeros_like(tensor)
        for name, tensor in network.state_dict().items()
        if name.endswith(".num_batches_tracked")
    }
    network.load_state_dict({**tracked, **fitted.weights})
    return network.eval()


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line.

    Raises:
        ModelFileError: missing, not text, or empty.
    """
    try:
        lines = read_regular(path, MAX_TEXT_BYTES).decode("utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except OSError as error:
        raise ModelFileError(f"{path} is no list of class names: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is not UTF-8 text") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ModelFileError(f"{path} has no class names")
    return names
