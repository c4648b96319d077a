"""`alexnet train`: make a recipe from a preset, a config file and flags, and train it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.api.recipes import DEFAULT_PRESET, choose_weights, name_after_data, read_call
from alexnet.cli.console import note, note_next, print_json, size_text, temperature_text
from alexnet.cli.flags import parse
from alexnet.cli.processes import is_to_be_launched, launch_again
from alexnet.cli.run_options import (
    DEFAULT_TRAIN_OPTIONS,
    TrainOptions,
    choosing_flags,
    read_run_options,
)
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.cli.trials import NO_TRIAL, TrialOptions, run_trial
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.recipe import Recipe
from alexnet.evaluation.intervals import percent_with_interval
from alexnet.io.files import size_bytes
from alexnet.io.text import count_text, printable, shell_command
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.training.trainer import Run


RECIPES_TEXT = (
    "A folder, a list or an archive of your images (train photos/) is fine-tuned from "
    "torchvision's weights, or trained from scratch (--from scratch)."
)
CHANGEABLE = (
    "--epochs", "--patience", "--target-train-error", "--max-minutes",
    "--devices", "--parallel", "--exchange",
)  # fmt: skip
"""Flags of the recipe that --resume takes."""


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Train a network."""

    run: TrainOptions = DEFAULT_TRAIN_OPTIONS
    trial: TrialOptions = NO_TRIAL
    recipe: Recipe


def run(arguments: Sequence[str]) -> int:
    """Train, then print the test error and the paths of the files."""
    preset_name, options, words = read_run_options(
        "train", arguments, DEFAULT_TRAIN_OPTIONS, CHANGEABLE
    )
    if options.resume:
        return _resume(options, words, arguments)
    given, words = choosing_flags(words)
    call = read_call(preset_name, options.config, given)

    def read(**source: str) -> tuple[Recipe, TrialOptions]:
        return read_recipe(words, options, call.recipe(**source), given, arguments)

    recipe, trial = read()
    if is_to_be_launched(devices := recipe.distributed.devices):
        return launch_again("train", arguments, devices)
    from alexnet.reports import page_of, save_page
    from alexnet.training.trainer import train

    note_slow_cpu(recipe.device)
    with ProgressReporter() as reporter:
        recipe, notes = choose_weights(recipe, lambda **source: read(**source)[0], reporter)
        if trial.is_wanted:
            for text in notes:
                reporter.note(text)
            return run_trial(trial, recipe, options.out, options.json, reporter)
        result = train(
            recipe,
            out=options.out,
            reporter=reporter,
            save_page=save_page,
            notes=notes,
            log=options.log,
        )
        report = page_of(result, reporter)
    _print_result(result, options, report)
    return 0


def read_recipe(
    words: Sequence[str],
    options: TrainOptions,
    start: Recipe,
    given: Mapping[str, Any],
    typed: Sequence[str] = (),
) -> tuple[Recipe, TrialOptions]:
    """Parse the flags that change a recipe, and those that ask for something instead of a run.

    Args:
        words: the flags, without those in CHOOSING.
        options: the options that are not part of the recipe.
        start: the recipe that the flags change.
        given: the values of the flags in CHOOSING.
        typed: all words after the verb, for messages; `words` unless given.
    """
    description = (
        f"Train a network. Presets: {', '.join(PRESETS)}. "
        f"{RECIPES_TEXT} The defaults below are those of {start.name}."
    )
    default = TrainFlags(run=options, recipe=replace(start, **given))
    own = None
    if start == PRESETS[DEFAULT_PRESET] and not given:
        own = TrainFlags(run=options, recipe=replace(FINETUNE, name=start.name))
    flags = parse(TrainFlags, words, "train", default, description, own, typed)
    return name_after_data(flags.recipe, start), flags.trial


def _resume(options: TrainOptions, words: Sequence[str], arguments: Sequence[str]) -> int:
    """Resume a run and print its result."""
    from alexnet.reports import page_of, save_page
    from alexnet.training.run_folder import RunFolder, read_run_recipe
    from alexnet.training.trainer import resume

    start = read_run_recipe(RunFolder(Path(options.resume)))
    recipe, _ = read_recipe(words, options, start, {}, arguments)
    has_epochs = any(word.partition("=")[0] == "--epochs" for word in words)
    if is_to_be_launched(devices := recipe.distributed.devices):
        return launch_again("train", arguments, devices)
    note_slow_cpu(recipe.device)
    with ProgressReporter() as reporter:
        result = resume(
            options.resume,
            epochs=recipe.epochs if has_epochs else None,
            stopping=recipe.stopping,
            distributed=recipe.distributed,
            reporter=reporter,
            save_page=save_page,
            log=options.log,
        )
        report = page_of(result, reporter)
    _print_result(result, options, report)
    return 0


def _print_result(result: Run, options: TrainOptions, report: Path | None) -> None:
    """Print the result; `report` is the page of the run, if it could be written."""
    if options.json:
        from alexnet.cli.outputs.train import train_output

        print_json(train_output(result, report))
    else:
        print(result_text(result) if result.is_finished else _unfinished_text(result))
        if report:
            print(f"report    {report}")
        if result.is_finished and (state := size_bytes(result.folder.checkpoints)):
            clean = shell_command(["alexnet", "runs", "clean", str(result.folder.path), "--yes"])
            note(f"state     {size_text(state)}, which only more epochs need; remove it: {clean}")
        note_next(*_next_commands(result))


def _unfinished_text(result: Run) -> str:
    folder, epochs = result.folder, len(result.history)
    return (
        f"stopped by --max-minutes after {count_text(epochs, 'finished epoch')}\n"
        f"model     {folder.model}\nresume    {folder.resume_command}"
    )


def result_text(result: Run) -> str:
    """The text that is printed of a finished run."""
    folder, evaluation = result.folder, result.evaluation
    minutes = sum(t.elapsed_seconds for t in result.times) / 60
    lines = [f"trained {count_text(len(result.history), 'epoch')} in {minutes:.1f} min"]
    if evaluation:
        error = percent_with_interval(evaluation.top1_error, evaluation.num_images)
        lines.append(f"test error {error} on {count_text(evaluation.num_images, 'image')}")
    lines.append(_model_text(result))
    if found := result.validation:
        lines.append(temperature_text(found.temperature, found.num_images))
    lines += [printable(f"note: {sentence}") for sentence in result.advice]
    return "\n".join([*lines, f"model     {folder.model}", f"plots     {folder.plots}"])


def _model_text(result: Run) -> str:
    """A text on the model's epoch, its validation error, and why that may be too low."""
    validation = result.validation
    if not validation:
        return "the model is that of the last epoch, as there are no validation images"
    error = percent_with_interval(validation.top1_error, validation.num_images)
    text = (
        f"best epoch {validation.epoch}: validation error {error} "
        f"on {count_text(validation.num_images, 'image')}; the model is of this epoch"
    )
    epochs = len(result.history)
    if result.evaluation or epochs < 2:
        return text
    return (
        f"{text}\nthe error is the lowest of {epochs} epochs, so it is too good, "
        "and there is no test split to measure it on other images"
    )


def _next_commands(result: Run) -> list[list[str]]:
    """The commands that may follow a run."""
    from alexnet.checkpoints.model_file import load_model

    folder = str(result.folder.path)
    _, info, _ = load_model(result.folder.model)
    is_evaluated = result.evaluation or result.validation
    ten_crops = ["alexnet", "evaluate", folder, "--crops", "10"]
    return [
        *([ten_crops] if is_evaluated and not info.preprocessing.has_one_crop else []),
        ["alexnet", "predict", folder, "IMAGE"],
        ["alexnet", "export", folder, "--format", "onnx"],
    ]
