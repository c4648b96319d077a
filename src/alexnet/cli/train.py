"""`alexnet train`: make a recipe from a preset, a config file and flags, and train it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.api import recipes
from alexnet.api.recipes import DEFAULT_PRESET, name_after_data
from alexnet.cli.console import note_next, print_json
from alexnet.cli.flags import parse
from alexnet.cli.run_options import DEFAULT_OPTIONS, RunOptions, read_run_options
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.cli.trials import NO_TRIAL, TrialOptions, run_trial
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.evaluation.intervals import percent_with_interval
from alexnet.io.text import count_text, printable
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.training.trainer import Run


CHANGEABLE = ("--epochs", "--patience", "--target-train-error", "--max-minutes")
"""Flags of the recipe that --resume takes."""


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Train a network."""

    run: RunOptions = DEFAULT_OPTIONS
    trial: TrialOptions = NO_TRIAL
    recipe: Recipe


def run(arguments: Sequence[str]) -> int:
    """Train, then print the test error and the paths of the files."""
    preset_name, options, words = read_run_options("train", arguments, CHANGEABLE)
    start = starting_recipe(preset_name, options)
    description = (
        f"Train a network. Presets: {', '.join(PRESETS)}. "
        f"The defaults below are those of {preset_name or DEFAULT_PRESET}."
    )
    flags = parse(TrainFlags, words, "train", TrainFlags(run=options, recipe=start), description)
    from alexnet.training.trainer import resume, train

    note_slow_cpu(flags.recipe.device)
    recipe = name_after_data(flags.recipe, start)
    with ProgressReporter() as reporter:
        if flags.trial.is_wanted:
            return run_trial(flags.trial, recipe, options.out, options.json, reporter)
        if options.resume:
            epochs, stopping = flags.recipe.epochs, flags.recipe.stopping
            result = resume(options.resume, epochs=epochs, stopping=stopping, reporter=reporter)
        else:
            result = train(recipe, out=options.out, reporter=reporter)
    if options.json:
        from alexnet.cli.outputs.train import train_output

        print_json(train_output(result))
    else:
        print(_text(result) if result.is_finished else _unfinished_text(result))
        note_next(*_next_commands(result))
    return 0


def starting_recipe(preset_name: str, options: RunOptions) -> Recipe:
    """The preset or the data, changed by the config file; of a run to resume, its recipe."""
    start = recipes.starting_recipe(preset_name)
    if not (options.config or options.resume):
        return start
    from alexnet.training.run_folder import RunFolder, read_recipe, read_run_recipe

    if options.resume:
        return read_run_recipe(RunFolder(Path(options.resume)))
    return read_recipe(Path(options.config), start)


def _unfinished_text(result: Run) -> str:
    folder, epochs = result.folder, len(result.history)
    return (
        f"stopped by --max-minutes after {count_text(epochs, 'finished epoch')}\n"
        f"model     {folder.model}\nresume    {folder.resume_command}"
    )


def _text(result: Run) -> str:
    folder, evaluation = result.folder, result.evaluation
    minutes = sum(t.elapsed_seconds for t in result.times) / 60
    lines = [f"trained {count_text(len(result.history), 'epoch')} in {minutes:.1f} min"]
    if evaluation:
        error = percent_with_interval(evaluation.top1_error, evaluation.num_images)
        lines.append(f"test error {error} on {count_text(evaluation.num_images, 'image')}")
    lines.append(_model_text(result))
    lines += [printable(f"note: {sentence}") for sentence in result.advice]
    return "\n".join([*lines, f"model     {folder.model}", f"plots     {folder.plots}"])


def _model_text(result: Run) -> str:
    """Which epoch the model is of, and its error where that chose it."""
    validation = result.validation
    if not validation:
        return "the model is that of the last epoch, as there are no validation images"
    error = percent_with_interval(validation.top1_error, validation.num_images)
    return (
        f"best epoch {validation.epoch}: validation error {error} "
        f"on {count_text(validation.num_images, 'image')}; the model is of this epoch"
    )


def _next_commands(result: Run) -> list[list[str]]:
    """What may follow a run."""
    folder = str(result.folder.path)
    ten_crops = ["alexnet", "evaluate", folder, "--crops", "10"]
    return [
        *([ten_crops] if result.evaluation or result.validation else []),
        ["alexnet", "predict", folder, "IMAGE"],
        ["alexnet", "export", folder, "--format", "onnx"],
    ]
