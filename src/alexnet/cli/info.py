"""`alexnet info`: what a run or a file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from alexnet.cli.console import (
    name_list,
    note,
    percent,
    print_json,
    size_text,
    temperature_text,
)
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.config.recipe_changes import recipe_lines
from alexnet.errors import UsageError
from alexnet.evaluation.intervals import wilson_interval
from alexnet.io.text import count_text, printable, shape_text, shell_command

if TYPE_CHECKING:
    from alexnet.training.describe import Description, FileDescription
    from alexnet.training.run_index import RunSummary

SHOWN_CLASSES = 10
VERSIONS = ("alexnet", "torch", "python", "numpy", "system", "device_name")
"""The versions that are printed of the environment, in this order."""


@dataclass(frozen=True, kw_only=True)
class InfoFlags:
    """What a run or a file is: network, classes, input, scores, recipe, versions."""

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|FILE")]
    """A run folder, a model file, a checkpoint, or a file of pretrained layers."""
    filters: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """Also draw the first layer's filters into FILE.png, .jpg, .pdf or .svg, even if they look like
    noise."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Print the description."""
    flags = with_model(parse(InfoFlags, arguments, "info"), "path")
    from alexnet.training.describe import describe

    description = describe(Path(flags.path))
    if flags.filters:
        draw_filters(description, Path(flags.filters))
    if flags.json:
        from alexnet.cli.outputs.info import info_output

        print_json(info_output(description))
        return 0
    for name, text in _lines(description, flags.path):
        print(printable(f"{name:<10} {text}").rstrip())
    return 0


def draw_filters(description: Description, out: Path) -> None:
    """Draw the filters of the first layer.

    Raises:
        UsageError: the suffix is not a figure's, or the run has no model or checkpoint.
    """
    from alexnet import plots
    from alexnet.training.describe import first_filters

    file = description.file
    if file is None:
        raise UsageError(description.file_problem or "the run has no model or checkpoint yet")
    run = description.run
    name = Path(run.path).resolve().name if run else file.path.name
    title = plots.run_title("Filters of the first layer", (name,))
    plots.save(plots.filters(first_filters(file), title), out)
    note(f"filters   {printable(str(out))}")


def _lines(description: Description, path: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every line."""
    run, file = description.run, description.file
    if run:
        yield from _run_lines(run)
    if description.file_problem:
        yield "problem", description.file_problem
    if file:
        yield from _file_lines(file)
    if run and run.test_error is not None:
        yield "test error", _test_text(run)
    if file and file.recipe:
        yield from recipe_lines(file.recipe)
    versions = [f"{k} {v}" for k in VERSIONS if (v := description.environment.get(k))]
    if versions:
        yield "versions", ", ".join(versions)
    yield from _next_lines(description, path)


def _run_lines(run: RunSummary) -> Iterator[tuple[str, str]]:
    kind = "" if run.kind == "training" else f"{run.kind} pretraining, "
    yield "run", f"{run.path}, {kind}{run.state}, {size_text(run.size_bytes)}"
    if run.problem:
        yield "problem", run.problem
    if run.data:
        planned = "-" if run.planned_epochs is None else run.planned_epochs
        yield "data", run.data
        step = run.checkpoint_step
        checkpoint = "" if step is None else f", checkpoint after step {step:,}"
        yield "epochs", f"{run.epochs} of {planned}{checkpoint}"
    if run.best_error is not None:
        is_best, error = run.best_split == "val", percent(run.best_error)
        head, split = ("best", "validation") if is_best else ("last", "test")
        yield head, f"{split} error {error} after epoch {run.best_epoch}"


def _file_lines(file: FileDescription) -> Iterator[tuple[str, str]]:
    yield file.kind.split()[0], f"{file.path}, {size_text(file.size_bytes)}, checksum right"
    if file.position:
        yield "", file.position
    if file.architecture:
        yield "net", f"{file.architecture.name}, {file.parameters:,} parameters"
    elif file.recipe:
        arch = file.recipe.arch
        name = arch if isinstance(arch, str) else arch.name
        yield "net", f"{name}, {file.parameters:,} parameters"
    if file.class_names:
        names = name_list(file.class_names, SHOWN_CLASSES)
        yield "classes", f"{len(file.class_names):,}: {names}"
    if file.preprocessing and file.architecture:
        yield "input", f"{shape_text(file.architecture.input)}, made of an image by"
        for step in file.preprocessing.steps():
            yield "", f"  {step}"
    yield from _score_lines(file)
    yield from _temperature_lines(file)


def _score_lines(file: FileDescription) -> Iterator[tuple[str, str]]:
    scores = file.scores
    parts = [f"after epoch {scores.epoch}"] if scores.epoch else []
    has_top5 = not file.class_names or len(file.class_names) > 5
    for name, error in (
        ("validation error", scores.val_top1_error),
        ("test error", scores.test_top1_error),
        ("test top-5 error", scores.test_top5_error if has_top5 else None),
    ):
        parts += [f"{name} {percent(error)}"] if error is not None else []
    if parts:
        yield "scores", ", ".join(parts)


def _temperature_lines(file: FileDescription) -> Iterator[tuple[str, str]]:
    """Yield the temperature, if one was fitted, and a note if that was on few images."""
    from alexnet.evaluation.advice import temperature_advice

    count = file.num_temperature_images
    if count or file.temperature != 1:
        name, text = temperature_text(file.temperature, count).split(" ", 1)
        yield name, text
    if advice := temperature_advice(count):
        yield "", f"note: {advice}"


def _test_text(run: RunSummary) -> str:
    error, count = run.test_error or 0.0, run.num_test_images
    if not count:
        return percent(error)
    ends = wilson_interval(round(error * count), count)
    return (
        f"{percent(error)} of {count_text(count, 'image')}, "
        f"95 % interval {percent(ends.low)} to {percent(ends.high)}"
    )


def _next_lines(description: Description, path: str) -> Iterator[tuple[str, str]]:
    """Yield lines with commands that use the run or file."""
    run, file = description.run, description.file
    if run and run.state == "unfinished":
        yield "resume", run.resume_command
    if run and run.state == "diverged":
        words = ["alexnet", "train", "--config", str(Path(path) / "config.json")]
        yield "again", shell_command(words) + " --lr LOWER"
    if file and file.kind == "model":
        yield "use", shell_command(["alexnet", "predict", path]) + " IMAGE .."
    elif file:
        words = ["alexnet", "train", "--from", str(file.path)]
        yield "use", shell_command(words)
