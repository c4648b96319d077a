"""The plots of a finished run: learning curves, confusion matrix, reliability diagram, filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from alexnet import plots
from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.config.recipe import Recipe
from alexnet.evaluation.plots import confusion
from alexnet.evaluation.reliability_plot import reliability_diagram
from alexnet.evaluation.report import confusion_title, reliability_title
from alexnet.evaluation.results import Evaluation
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, Dropout
from alexnet.records import EpochRecord
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import TrainingSetup


def save_run_plots(
    setup: TrainingSetup,
    history: Sequence[EpochRecord],
    evaluation: Evaluation | None,
    folder: RunFolder,
    save_plot: plots.SavePlot,
) -> list[str]:
    """Draw and write the plots; return the notes about what they leave out.

    Filters that look like noise are left out.
    """
    arch = setup.model.architecture
    run = folder.path.resolve().name
    parts = (run, setup.store.info.name, arch.name)
    title = plots.run_title("Learning curves", parts)
    curves = partial(plots.learning_curves, history, title, handicaps(setup.recipe, arch))
    save_plot(curves, folder.plots / "learning_curves.png")
    notes = []
    if evaluation:
        title = confusion_title(evaluation, run, arch.name)
        save_plot(partial(confusion, evaluation, title), folder.plots / "confusion.png")
        title = reliability_title(evaluation, run, arch.name)
        diagram = partial(reliability_diagram, evaluation.calibration, title)
        save_plot(diagram, folder.plots / "reliability.png")
        notes.append(plots.font_note(evaluation.class_names))
    first = next(layer for layer in arch.layers if isinstance(layer, Conv))
    weight = setup.model.get_parameter(f"{first.name}.weight")
    notes.append(plots.noise_note(weight, folder.path))
    if not notes[-1]:
        title = plots.run_title(f"Filters of {first.name}", parts)
        save_plot(partial(plots.filters, weight, title), folder.plots / "filters.png")
    return [note for note in notes if note]


def handicaps(recipe: Recipe, arch: Architecture) -> list[str]:
    """What makes training images harder than evaluated ones, for a note on the learning curves."""
    has_dropout = any(isinstance(layer, Dropout) and layer.p > 0 for layer in arch.layers)
    is_augmented = replace(recipe.augment, last_color_epoch=None) != NO_AUGMENTATION
    return ["dropout"] * has_dropout + ["augmentation"] * is_augmented
