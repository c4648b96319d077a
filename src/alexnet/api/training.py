"""Train and pretrain by names, paths and keywords."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alexnet.api.recipes import Start, changed_recipe, show_options, starting_recipe
from alexnet.api.reporting import PretrainReporting, Reporting, pretrain_reporting, reporting
from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.errors import UnknownNameError, UsageError
from alexnet.keywords import check_keywords
from alexnet.pretraining import pretrainer
from alexnet.pretraining.pretrainer import Pretrained
from alexnet.pretraining.recipe import KINDS, PretrainRecipe
from alexnet.training import trainer
from alexnet.training.trainer import Run

FilePath = str | os.PathLike[str]
TRAIN_KEYWORDS = ("recipe", "config", "out", "resume", "reporter")
PRETRAIN_KEYWORDS = ("kind", "recipe", "out", "plots", "reporter")


@show_options(Recipe)
def train(
    recipe: Start = "",
    *,
    config: FilePath = "",
    out: FilePath = "",
    resume: FilePath = "",
    reporter: Reporting = "auto",
    **options: Any,
) -> Run:
    """Train a network: `alexnet.train("flowers17", epochs=5, data="photos/")`.

    Args:
        recipe: the name of a preset, a `Recipe`, or data (a path, or the name of a data set) for
            the default preset.
        config: JSON file of a recipe, such as a run's config.json; `options` override it.
        out: the run folder; `runs/<name>-<number>` unless given.
        resume: the folder of a stopped run to resume, instead of a new run.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: every flag of `alexnet train`, with underscores: `lr=0.001`, `batch_size=64`,
            `arch="alexnet_bn"` or an `Architecture`. A whole group is an option, too:
            `augment=Augmentation(flip=False)`.

    Raises:
        UsageError: an unknown word, with the nearest one; or a value of the wrong type.
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    with reporting(reporter) as told:
        if resume:
            if recipe or config or out or options:
                raise UsageError("resume= continues a run unchanged; leave out the other arguments")
            return trainer.resume(Path(resume), reporter=told)
        start = starting_recipe(recipe, config)
        if recipe and "data" in options and isinstance(recipe, os.PathLike):
            raise UsageError(f"give the data once: {os.fspath(recipe)!r}, or data=")
        changed = changed_recipe(start, options, TRAIN_KEYWORDS)
        return trainer.train(changed, out=_text(out), reporter=told)


@check_keywords
def resume(
    path: FilePath | Run,
    *,
    epochs: int | None = None,
    stopping: StoppingOptions | None = None,
    reporter: Reporting = "auto",
) -> Run:
    """Resume a stopped run; it ends in the same bits as one that was never stopped.

    `resume("runs/x", epochs=20)` also goes on with a finished run.

    Args:
        path: the run folder.
        epochs: of the whole run; None: as before. The learning rate is planned anew for as many.
        stopping: what ends the run early; None: as before.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has finished, or another process is training it.
        UsageError: the run would have ended before.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    folder = path.folder.path if isinstance(path, Run) else Path(path)
    with reporting(reporter) as told:
        return trainer.resume(folder, epochs=epochs, stopping=stopping, reporter=told)


def pretrain(
    kind: str | PretrainRecipe,
    recipe: Start = "",
    *,
    out: FilePath = "",
    plots: bool = True,
    reporter: PretrainReporting = "auto",
    **options: Any,
) -> Pretrained:
    """Pretrain the conv layers without labels: `alexnet.pretrain("rbm", "flowers17", epochs=3)`.

    Args:
        kind: "autoencoder" or "rbm", or a whole `AutoencoderRecipe` or `RbmRecipe`.
        recipe: as for `alexnet.train`; its data, network, preprocessing and augmentation are used.
        out: the run folder; `runs/<name>-<kind>-<number>` unless given.
        plots: draw filters, reconstructions and error curves at the end.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: every flag of `alexnet pretrain`, with underscores.

    Raises:
        UsageError: an unknown word, with the nearest one; or a value of the wrong type.
        AlexNetError: the recipe or the data cannot work, or the error is not finite.
    """
    if isinstance(kind, PretrainRecipe) and recipe:
        raise UsageError("give a recipe of a pretraining alone, or a kind and a recipe")
    start = kind if isinstance(kind, PretrainRecipe) else _pretrain_recipe(kind, recipe)
    changed = changed_recipe(start, options, PRETRAIN_KEYWORDS)
    with pretrain_reporting(reporter) as told:
        return pretrainer.pretrain(changed, out=_text(out), plots=plots, reporter=told)


def _pretrain_recipe(kind: str, recipe: Start) -> PretrainRecipe:
    if kind not in KINDS:
        raise UnknownNameError("kind of pretraining", str(kind), KINDS)
    return KINDS[kind].from_recipe(starting_recipe(recipe))


@check_keywords
def resume_pretraining(
    path: FilePath, *, plots: bool = True, reporter: PretrainReporting = "auto"
) -> Pretrained:
    """Resume an interrupted pretraining: finished layers are kept, the unfinished one restarts.

    Raises:
        ModelFileError: the folder is not a pretraining's, or a file is damaged.
        TrainingError: the pretraining is finished.
    """
    with pretrain_reporting(reporter) as told:
        return pretrainer.resume_pretraining(Path(path), plots=plots, reporter=told)


def _text(path: FilePath) -> str:
    return os.fspath(path)
