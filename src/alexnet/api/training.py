"""Train, resume and pretrain, with the flags of the command line as keyword arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from alexnet.api.python_words import in_python, python_text
from alexnet.api.recipes import (
    Start,
    changed_recipe,
    choose_weights,
    read_call,
    show_options,
)
from alexnet.api.reporting import PretrainReporting, Reporting, pretrain_reporting, reporting
from alexnet.config.options import with_options
from alexnet.config.recipe import SCRATCH, Recipe, StoppingOptions
from alexnet.config.serialization import parse_value
from alexnet.errors import UnknownNameError, UsageError
from alexnet.io.paths import FilePath, path_text
from alexnet.io.text import short_repr
from alexnet.keywords import check_keywords, check_options, check_positions
from alexnet.models.field_checks import plain_number
from alexnet.pretraining import pretrainer
from alexnet.pretraining.pretrainer import Pretrained
from alexnet.pretraining.recipe import KINDS, PretrainRecipe
from alexnet.reports import page_of, save_page
from alexnet.runtime.device import float32_default
from alexnet.training import lr_finder, trainer
from alexnet.training.lr_finder import LRRangeTest
from alexnet.training.run_folder import RunFolder, read_run_recipe
from alexnet.training.trainer import Run

Pretraining: TypeAlias = "bool | FilePath | Run"
"""True: torchvision's weights; False: random ones; else a path, a hub's address or a run."""
TRAIN_KEYWORDS = ("recipe", "config", "out", "resume", "pretrained", "log", "reporter")
FIND_LR_KEYWORDS = ("recipe", "config", "pretrained", "reporter")
PRETRAIN_KEYWORDS = ("kind", "recipe", "out", "plots", "reporter")


@show_options(Recipe)
@in_python
@check_positions
def train(
    recipe: Start = "",
    *,
    config: FilePath = "",
    out: FilePath = "",
    resume: FilePath = "",
    pretrained: Pretraining | None = None,
    log: str | Sequence[str] = (),
    reporter: Reporting = "auto",
    **options: Any,
) -> Run:
    """Train a network: `alexnet.train("flowers17", epochs=5, data="photos/")`.

    Images of your own are fine-tuned from torchvision's weights, if they can be had; data sets and
    presets with a name are trained as their recipe says.

    Args:
        recipe: the name of a preset, a `Recipe`, or data (a path, or the name of a data set) for
            the default preset.
        config: JSON, TOML or YAML file of a recipe, such as a run's config.json; `options`
            override it.
        out: the run folder; `runs/<name>-<number>` unless given.
        resume: the folder of a run to resume, instead of a new run; see `resume`.
        pretrained: True takes torchvision's weights, False random ones; or what `init_from` takes:
            a file, a run, "hf:OWNER/NAME".
        log: also log for other programs: "tensorboard", "mlflow", "wandb", "csv", several as a
            list or joined by commas.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: every option of a recipe, as the flags of `alexnet train` with underscores:
            `lr=0.001`, `batch_size=64`, `arch="alexnet_bn"` or an `Architecture`. A whole group is
            an option, too: `augment=Augmentation(flip=False)`.

    Raises:
        UsageError: an option is unknown (the message names the nearest one) or of the wrong type.
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    if resume:
        if recipe or config or out or pretrained is not None:
            raise UsageError(
                "resume= continues the run of a folder; leave out recipe, config, out, pretrained"
            )
        return RESUME(resume, log=log, reporter=reporter, **options)
    options = with_source(options, pretrained)
    call = read_call(recipe, config, options)

    def changed(**given: str) -> Recipe:
        return changed_recipe(call.recipe(**given), options, TRAIN_KEYWORDS)

    with reporting(reporter) as reporter:
        chosen, notes = choose_weights(changed(), changed, reporter)
        run = trainer.train(
            chosen,
            out=path_text(out, "out"),
            reporter=reporter,
            save_page=save_page,
            notes=notes,
            log=log,
        )
        page_of(run, reporter)
        return in_words_of_python(run)


@show_options(Recipe)
@in_python
@check_positions
def find_lr(
    recipe: Start = "",
    *,
    config: FilePath = "",
    pretrained: Pretraining | None = None,
    reporter: Reporting = "auto",
    **options: Any,
) -> LRRangeTest:
    """Suggest a learning rate: `alexnet.find_lr("photos/", batch_size=64).suggestion`.

    It trains for up to a hundred steps while the learning rate rises from 1e-6 to 10, and keeps
    nothing of it but the prepared images. A notebook shows the curve, which `.plot()` gives.

    Args:
        recipe: as for `train`, as are `config`, `pretrained` and `options`.
        config: file of a recipe.
        pretrained: the source of the weights.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: every option of a recipe, as for `train`.

    Raises:
        UsageError: an option is unknown (the message names the nearest one) or of the wrong type.
        AlexNetError: the recipe, the data or the weights cannot work.
        TrainingError: the loss is not finite in the first steps.
    """
    options = with_source(options, pretrained)
    call = read_call(recipe, config, options)

    def changed(**given: str) -> Recipe:
        return changed_recipe(call.recipe(**given), options, FIND_LR_KEYWORDS)

    with reporting(reporter) as reporter, float32_default():
        chosen, notes = choose_weights(changed(), changed, reporter)
        for text in notes:
            reporter.note(text)
        return lr_finder.find_lr(chosen, reporter)


def with_source(options: dict[str, Any], pretrained: Pretraining | None) -> dict[str, Any]:
    """The options of `train`, with `init_from` set by `pretrained`.

    Raises:
        UsageError: `init_from` is given, too.
    """
    source = options.get("init_from")
    if pretrained is None:
        return {**options, "init_from": source_of(source)} if isinstance(source, Run) else options
    if source is not None:
        raise UsageError("pretrained= and init_from= both name the initial weights; leave out one")
    return {**options, "init_from": source_of(pretrained)}


def source_of(pretrained: Pretraining) -> str:
    """The value of `init_from` for a value of `pretrained`.

    Raises:
        UsageError: the value is of another type.
    """
    if isinstance(pretrained, bool):
        return "torchvision" if pretrained else SCRATCH
    if isinstance(pretrained, Run):
        return str(pretrained.folder.path)
    if isinstance(pretrained, str | os.PathLike):
        return path_text(pretrained)
    raise UsageError(
        "pretrained is True, False, a Run, a file of weights or its address; not "
        f"{short_repr(pretrained)}, whose weights .save(file) or torch.save can write to a file"
    )


@in_python
@check_options(StoppingOptions)
def resume(
    path: FilePath | Run,
    *,
    epochs: int | None = None,
    log: str | Sequence[str] = (),
    reporter: Reporting = "auto",
    **options: Any,
) -> Run:
    """Resume a stopped run; it ends in the same bits as one that was never stopped.

    With more `epochs` or other options, a run that has finished is trained further. A run that a
    reporter has ended (`StopTraining`) is also resumed with the `epochs` that were planned.

    Args:
        path: the run folder, or the run.
        epochs: number of epochs of the whole run; None: as before.
        log: loggers beside those that the run has, as for `train`.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: what ends the run early, by the names of the flags: `patience=5`.

    Raises:
        ConfigError: `epochs` is no whole number.
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has finished, or another process is training it.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    epochs = parse_value(int | None, plain_number(epochs), "epochs")
    folder = path.folder if isinstance(path, Run) else RunFolder(Path(path_text(path)))
    stopping = with_options(read_run_recipe(folder).stopping, options) if options else None
    with reporting(reporter) as reporter:
        run = trainer.resume(
            folder.path,
            epochs=epochs,
            stopping=stopping,
            reporter=reporter,
            save_page=save_page,
            log=log,
        )
        page_of(run, reporter)
        return in_words_of_python(run)


def in_words_of_python(run: Run) -> Run:
    """The run, whose advice names keywords instead of flags."""
    return replace(run, advice=tuple(map(python_text, run.advice)))


RESUME = resume
"""The function `resume`, for `train`, which has an argument of this name."""


@in_python
@check_positions
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
        options: every option of the recipe: the flags of `alexnet pretrain`, with underscores.

    Raises:
        UsageError: an option is unknown (the message names the nearest one) or of the wrong type.
        AlexNetError: the recipe or the data cannot work, or the error is not finite.
    """
    if isinstance(kind, PretrainRecipe) and recipe:
        raise UsageError("give a recipe of a pretraining alone, or a kind and a recipe")
    start = kind if isinstance(kind, PretrainRecipe) else _pretrain_recipe(kind, recipe, options)
    changed = changed_recipe(start, options, PRETRAIN_KEYWORDS)
    with pretrain_reporting(reporter) as reporter:
        return pretrainer.pretrain(
            changed, out=path_text(out, "out"), plots=plots, reporter=reporter
        )


def _pretrain_recipe(kind: str, recipe: Start, options: dict[str, Any]) -> PretrainRecipe:
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError("kind of pretraining", str(kind), KINDS)
    return KINDS[kind].from_recipe(read_call(recipe, "", options).recipe(init_from=SCRATCH))


@in_python
@check_keywords
def resume_pretraining(
    path: FilePath, *, plots: bool = True, reporter: PretrainReporting = "auto"
) -> Pretrained:
    """Resume an interrupted pretraining: finished layers are kept, the unfinished one restarts.

    Raises:
        ModelFileError: the folder is not a pretraining's, or a file is damaged.
        TrainingError: the pretraining is finished.
    """
    with pretrain_reporting(reporter) as reporter:
        return pretrainer.resume_pretraining(Path(path_text(path)), plots=plots, reporter=reporter)
