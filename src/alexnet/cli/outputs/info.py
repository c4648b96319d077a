"""What `info --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alexnet.checkpoints.model_file import Scores
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import nearest_preset, recipe_changes
from alexnet.training.describe import Description, FileDescription
from alexnet.training.run_index import RunSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetChange:
    """An option that differs from the preset."""

    option: str
    """Its name in Python, such as lr."""
    preset_value: Any
    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeSummary:
    """A recipe as the difference from the nearest preset."""

    preset: str
    changes: tuple[PresetChange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSummary:
    """A model file, a checkpoint or a file of pretrained layers, whose checksum is right."""

    path: str
    kind: str
    """One of model, checkpoint or pretrained layers."""
    position: str
    """How far the run was, for a checkpoint; which layers, for pretrained ones; else empty."""
    size_bytes: int
    architecture: str | None
    """Its name; null for a checkpoint, whose recipe names it."""
    input: tuple[int, ...] | None
    """Channels, height and width; null for a checkpoint."""
    parameters: int
    class_names: tuple[str, ...]
    preprocessing: Preprocessing | None
    preprocessing_steps: tuple[str, ...] | None
    """What is done to an image, in words."""
    scores: Scores
    temperature: float
    """Probabilities are softmax(logits / temperature); 1 if none was fitted."""
    num_temperature_images: int
    """Validation images that it was fitted on; 0 if none was fitted, or if it is not known."""
    recipe: RecipeSummary | None
    """The recipe; null for pretrained layers and for an imported model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoOutput:
    """A run, with its model or else its newest checkpoint; or a file alone."""

    run: RunSummary | None
    """The run; null for a file alone."""
    file: FileSummary | None
    """The model or checkpoint; null for a run without one that can be used."""
    file_problem: str
    """Why a run's model or checkpoint cannot be used; else empty."""
    environment: dict[str, Any]
    """Versions and machine when the run began; empty for a file, or where they are lost."""


def info_output(description: Description) -> InfoOutput:
    """Make the output of a description."""
    return InfoOutput(
        run=description.run,
        file=_file_summary(description.file) if description.file else None,
        file_problem=description.file_problem,
        environment=dict(description.environment),
    )


def _file_summary(file: FileDescription) -> FileSummary:
    arch, preprocessing = file.architecture, file.preprocessing
    return FileSummary(
        path=str(file.path),
        kind=file.kind,
        position=file.position,
        size_bytes=file.size_bytes,
        architecture=arch.name if arch else None,
        input=arch.input if arch else None,
        parameters=file.parameters,
        class_names=file.class_names,
        preprocessing=preprocessing,
        preprocessing_steps=tuple(preprocessing.steps()) if preprocessing else None,
        scores=file.scores,
        temperature=file.temperature,
        num_temperature_images=file.num_temperature_images,
        recipe=_recipe_summary(file.recipe) if file.recipe else None,
    )


def _recipe_summary(recipe: Recipe) -> RecipeSummary:
    preset = nearest_preset(recipe)
    return RecipeSummary(
        preset=preset.name,
        changes=tuple(
            PresetChange(option=c.option, preset_value=c.values[0], value=c.values[1])
            for c in recipe_changes((preset, recipe))
        ),
    )
