"""Descriptions of run folders and model files: network, classes, input, scores, recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open
from torch import Tensor

from alexnet.checkpoints.file_header import read_header
from alexnet.checkpoints.model_file import ModelInfo, Scores, load_model
from alexnet.checkpoints.pretrained_layers import PretrainedInfo, read_pretrained
from alexnet.checkpoints.tensors import load_tensors
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError, ModelFileError
from alexnet.io.run_paths import is_run
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.training.run_folder import RunFolder
from alexnet.training.run_index import RunSummary, summarize_run
from alexnet.training.state import CheckpointInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDescription:
    """A model file, a checkpoint or a file of pretrained layers, whose checksum is right."""

    kind: Literal["model", "checkpoint", "pretrained layers"]
    path: Path
    size_bytes: int
    architecture: Architecture | None
    """None for a checkpoint, whose recipe names it."""
    parameters: int
    """Number of parameters; of a checkpoint, those of the network, without the optimizer's
    state."""
    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    scores: Scores
    """Epoch and errors of a model; of other files without figures."""
    recipe: Recipe | None = None
    """None for pretrained layers, and for a model that was imported."""
    temperature: float = 1.0
    """As in `ModelInfo`; 1 for other files than models."""
    num_temperature_images: int = 0
    position: str = ""
    """How far the run of a checkpoint was, or which layers were pretrained; "" for a model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """The description of a run with its model or newest checkpoint, or of a file alone."""

    run: RunSummary | None = None
    file: FileDescription | None = None
    file_problem: str = ""
    """Why a run's model or checkpoint cannot be used."""
    environment: Mapping[str, Any]
    """Versions and machine when the run began; empty for a file, or where they are lost."""


def describe(path: Path) -> Description:
    """Describe a run folder or a file.

    Raises:
        ModelFileError: the path is neither, or the file is damaged or of another program. Damage
            in a run is part of its description.
    """
    if not path.is_dir():
        return Description(file=describe_file(path), environment={})
    if not is_run(path):
        raise ModelFileError(f"{path} is a folder without a run; name a run folder or a model file")
    run, file, problem = RunFolder(path), None, ""
    try:
        file = _file_of_run(run)
    except AlexNetError as error:
        problem = str(error)
    return Description(
        run=summarize_run(path),
        file=file,
        file_problem=problem,
        environment=run.read_environment(),
    )


def _file_of_run(run: RunFolder) -> FileDescription | None:
    """The description of the run's model, or of its newest checkpoint; None if it has neither.

    Raises:
        ModelFileError: it is damaged.
    """
    checkpoints = run.saved_checkpoints()
    if run.model.exists():
        return describe_file(run.model)
    return describe_file(checkpoints[-1]) if checkpoints else None


def describe_file(path: Path) -> FileDescription:
    """Describe a model file, a checkpoint or a file of pretrained layers.

    Raises:
        ModelFileError: missing, damaged or of another program.
    """
    if pretrained := read_pretrained(path):
        return _describe_pretrained(path, pretrained)
    if "step" in read_header(path):
        return _describe_checkpoint(path)
    return _describe_model(path)


def _describe_model(path: Path) -> FileDescription:
    _, info, _ = load_model(path)
    return FileDescription(
        kind="model",
        path=path,
        size_bytes=path.stat().st_size,
        architecture=info.architecture,
        parameters=_parameters(info.architecture),
        class_names=info.class_names,
        preprocessing=info.preprocessing,
        scores=info.scores,
        recipe=info.recipe if _was_trained(info) else None,
        temperature=info.temperature,
        num_temperature_images=info.num_temperature_images,
    )


def _was_trained(info: ModelInfo) -> bool:
    """Whether a model comes from a run; an imported one names no data."""
    return info.recipe.data != ""


def _describe_pretrained(path: Path, info: PretrainedInfo) -> FileDescription:
    return FileDescription(
        kind="pretrained layers",
        path=path,
        size_bytes=path.stat().st_size,
        architecture=info.architecture,
        parameters=_parameters(info.architecture),
        preprocessing=info.preprocessing,
        scores=Scores(),
        position=f"{', '.join(info.pretrained)} ({info.kind})",
    )


def _describe_checkpoint(path: Path) -> FileDescription:
    tensors, info = load_tensors(path, CheckpointInfo)
    weights = [t for name, t in tensors.items() if name.startswith("network.")]
    epochs = len(info.history)
    return FileDescription(
        kind="checkpoint",
        path=path,
        size_bytes=path.stat().st_size,
        architecture=None,
        parameters=sum(t.numel() for t in weights if t.is_floating_point()),
        scores=Scores(),
        recipe=info.recipe,
        position=f"after step {info.step:,}, {epochs} finished epochs",
    )


def first_filters(file: FileDescription) -> Tensor:
    """The filters [out, in, k, k] of a file's first convolution.

    Raises:
        ModelFileError: the file does not have them.
    """
    arch = file.architecture
    if arch is None and file.recipe:
        arch = variant(architecture(file.recipe.arch), file.recipe.model)
    layers = arch.layers if arch else ()
    first = next((layer.name for layer in layers if isinstance(layer, Conv)), "")
    with safe_open(file.path, framework="pt") as tensors:
        for name in (f"{first}.weight", f"network.{first}.weight"):
            if name in tensors.keys():  # noqa: SIM118 - the file is no mapping
                weight: Tensor = tensors.get_tensor(name)
                return weight
    raise ModelFileError(f"{file.path} has no filters of a first convolution")


def _parameters(arch: Architecture) -> int:
    return sum(info.parameters for info in arch.layer_infos())
