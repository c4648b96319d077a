"""What `alexnet train` does instead of a run: --dry-run, --find-lr, --overfit-one-batch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.cli.console import percent, print_json, size_text, table
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import recipe_lines
from alexnet.errors import require
from alexnet.io.text import printable, shape_text
from alexnet.reporter import Reporter

if TYPE_CHECKING:
    from alexnet.training.dry_run import RunPlan
    from alexnet.training.memory import MemoryEstimate
    from alexnet.training.overfit import OverfitStep

RANGE_TEST_PLOT = "find_lr.png"


@dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """Instead of a run; at most one."""

    dry_run: bool = False
    """Print what the run would be: data, shapes, estimates of memory, disk space and time, and what
    the recipe changes; --json has the whole recipe."""
    find_lr: bool = False
    """Suggest a learning rate by a short test, and plot its losses to --out (find_lr.png)."""
    overfit_one_batch: bool = False
    """Train on one batch until it is learned: a test of the data, the labels and the recipe."""

    def __post_init__(self) -> None:
        wanted = [f"--{f.name.replace('_', '-')}" for f in fields(self) if getattr(self, f.name)]
        require(len(wanted) <= 1, f"{' and '.join(wanted)} exclude each other; leave one out")

    @property
    def is_wanted(self) -> bool:
        """Whether one of the options is set."""
        return self.dry_run or self.find_lr or self.overfit_one_batch


NO_TRIAL = TrialOptions()


def run_trial(
    options: TrialOptions, recipe: Recipe, out: str, as_json: bool, reporter: Reporter
) -> int:
    """Do what the options ask for, print the result, and return the exit code."""
    if options.dry_run:
        return dry_run(recipe, as_json, reporter)
    if options.find_lr:
        return find_lr(recipe, Path(out or RANGE_TEST_PLOT), as_json, reporter)
    return overfit_one_batch(recipe, as_json, reporter)


def dry_run(recipe: Recipe, as_json: bool, reporter: Reporter) -> int:
    """Print the plan of a run, with its estimated time and memory."""
    from alexnet.training.dry_run import plan_run

    plan = plan_run(recipe, reporter)
    if as_json:
        print_json(plan)
    else:
        print(plan_text(plan))
    return 0


def plan_text(plan: RunPlan) -> str:
    """The plan of a run as text."""
    recipe, disk = plan.recipe, plan.disk
    images = ", ".join(f"{count:,} {split}" for split, count in plan.images.items())
    parts = recipe.optimizer.accumulate
    batch = f"{shape_text(plan.batch)}, from stored images of {shape_text(plan.stored_image)}"
    state = "is there" if disk.is_prepared else f"of {size_text(disk.free_for_store)} that are free"
    lines = [
        ("data", f"{recipe.data}: {len(plan.class_names)} classes, {images} images"),
        ("network", f"{recipe.arch_name}: {plan.parameters:,} parameters"),
        ("batch", f"{batch}{f'; {parts} of them for one update' * (parts > 1)}"),
        ("steps", f"{plan.steps_per_epoch:,} per epoch, {plan.total_steps:,} in all"),
        ("memory", memory_text(plan.memory, plan.processes)),
        ("disk", f"image store {size_text(disk.store)}, {state}: {disk.store_folder}"),
        ("", f"run folder {size_text(disk.run)}, up to {size_text(disk.run_at_most)} meanwhile"),
        ("time", f"about {duration_text(plan.total_seconds)} on {plan.device}, "
         f"at {plan.seconds_per_step:.3g} s per step as measured now"),
    ]  # fmt: skip
    if not disk.is_prepared and disk.store > disk.free_for_store:
        lines.append(("", "the image store does not fit: set ALEXNET_CACHE to a larger disk"))
    lines += [*recipe_lines(recipe), ("", "--json prints the whole recipe")]
    return "\n".join(printable(f"{name:<9} {text}") for name, text in lines)


def memory_text(memory: MemoryEstimate, processes: int) -> str:
    """A text on the total memory of each process, and on its parts."""
    parts = (
        ("weights", memory.weights),
        ("gradients", memory.gradients),
        ("optimizer", memory.optimizer),
        ("activations", memory.activations),
    )
    shares = ", ".join(f"{name} {size_text(size)}" for name, size in parts)
    where = f" in each of {processes} processes" if processes > 1 else ""
    return f"about {size_text(memory.total)}{where} ({shares}) beside what torch itself takes"


def duration_text(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def find_lr(recipe: Recipe, path: Path, as_json: bool, reporter: Reporter) -> int:
    """Run a learning-rate range test, print its suggestion and plot its losses."""
    from alexnet import plots
    from alexnet.parallel.world import on_main
    from alexnet.plots.saving import figure_format
    from alexnet.training.lr_finder import find_lr as test_lrs

    figure_format(path)  # raises before the test
    found = test_lrs(recipe, reporter)
    title = plots.run_title("Learning-rate range test", (recipe.name, recipe.arch_name))
    on_main(plots.save_plot)(partial(found.plot, title), path)
    if as_json:
        from alexnet.cli.outputs.train import FindLROutput

        facts = FindLROutput(
            lrs=found.lrs, losses=found.losses, suggestion=found.suggestion, plot=str(path)
        )
        print_json(facts)
    else:
        print(f"{suggestion_text(found.suggestion)}\nplot      {path}")
    return 0


def suggestion_text(suggestion: float | None) -> str:
    """A text on the suggested learning rate, as a flag; or on why none is suggested."""
    if suggestion is None:
        return (
            "no learning rate is suggested: at none does the loss fall by more than its noise; "
            "larger batches have less noise (--batch-size)"
        )
    return f"suggested learning rate {suggestion:.2g}: --lr {suggestion:.2g}"


def overfit_one_batch(recipe: Recipe, as_json: bool, reporter: Reporter) -> int:
    """Overfit one batch and print its curve; the exit code is 1 if it is not learned."""
    from alexnet.training.overfit import overfit_one_batch as overfit

    steps = overfit(recipe, reporter)
    is_learned = steps[-1].top1_error == 0
    if as_json:
        from alexnet.cli.outputs.train import OverfitOutput

        print_json(OverfitOutput(is_learned=is_learned, steps=tuple(steps)))
    else:
        print(overfit_text(steps, recipe))
    return 0 if is_learned else 1


def overfit_text(steps: list[OverfitStep], recipe: Recipe) -> str:
    """A table of the curve, at increasing intervals of steps, and what it means."""
    shown = [s for s in steps if s.step <= 5 or is_round(s.step) or s is steps[-1]]
    rows = [(str(s.step), f"{s.loss:.4f}", percent(s.top1_error)) for s in shown]
    last = steps[-1]
    meaning = (
        f"learned in {last.step} steps: data, labels, network and learning rate work together"
        if last.top1_error == 0
        else f"not learned in {last.step} steps; the usual causes are a learning rate that is too "
        f"high or too low (--lr {recipe.optimizer.lr:g}; try --find-lr), equal images with "
        "different labels (alexnet data check), frozen layers (--freeze-up-to), or images without "
        "contrast after preprocessing (alexnet data show)"
    )
    return f"{table(('step', 'loss', 'error'), rows, left=0)}\n{meaning}"


def is_round(step: int) -> bool:
    """Whether a step has a single nonzero digit: 10, 20, .. 100, 200, .."""
    return step % int(10 ** (len(str(step)) - 1)) == 0
